import { openDatabase } from '@aquifer/runtime/sqlite'
import { answersSchema, createSqliteAnswers } from '@aquifer/stores/answers-sqlite'
import { answersConformance } from './answers.ts'

answersConformance('sqlite', async () => {
  const database = openDatabase({ path: ':memory:', schema: answersSchema, survives: 'kill' })
  return { answers: createSqliteAnswers(database), close: () => database.close() }
})
