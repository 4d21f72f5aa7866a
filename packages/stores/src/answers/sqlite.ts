import type { AnswerRecord, Evaluation, Feedback } from '@aquifer/contracts/types'
import type { Database, Row, SqlValue } from '@aquifer/runtime/sqlite'
import { formatCursor, parseCursor } from './cursor.ts'
import type { Answers } from './port.ts'
import { SCORES_KEPT_MS, TEXT_KEPT_MS } from './retention.ts'

export const answersSchema = `
  CREATE TABLE IF NOT EXISTS answers (
    tenant TEXT NOT NULL,
    answer_id TEXT NOT NULL,
    record TEXT NOT NULL,
    conversation_id TEXT AS (record ->> 'conversationId'),
    created_at INTEGER AS (record ->> 'createdAt'),
    PRIMARY KEY (tenant, answer_id)
  ) STRICT;
  CREATE INDEX IF NOT EXISTS answers_by_conversation ON answers (tenant, conversation_id, created_at, answer_id);
  CREATE INDEX IF NOT EXISTS answers_by_time ON answers (created_at);

  CREATE TABLE IF NOT EXISTS evaluations (
    tenant TEXT NOT NULL,
    answer_id TEXT NOT NULL,
    record TEXT NOT NULL,
    groundedness REAL,
    answered_at INTEGER AS (record ->> 'answeredAt'),
    prompt TEXT AS (record ->> 'prompt'),
    model TEXT AS (record ->> 'model'),
    PRIMARY KEY (tenant, answer_id)
  ) STRICT;
  CREATE INDEX IF NOT EXISTS evaluations_newest ON evaluations (tenant, answered_at, answer_id);
  CREATE INDEX IF NOT EXISTS evaluations_by_time ON evaluations (answered_at);

  CREATE TABLE IF NOT EXISTS feedback (
    tenant TEXT NOT NULL,
    feedback_id TEXT NOT NULL,
    record TEXT NOT NULL,
    answer_id TEXT AS (record ->> 'answerId'),
    created_at INTEGER AS (record ->> 'createdAt'),
    PRIMARY KEY (tenant, feedback_id)
  ) STRICT;
  CREATE INDEX IF NOT EXISTS feedback_by_answer ON feedback (tenant, answer_id, created_at);
  CREATE INDEX IF NOT EXISTS feedback_by_time ON feedback (created_at);
`

const LIST = `
  SELECT record, answered_at, answer_id FROM evaluations
  WHERE tenant = ?1
    AND answered_at >= ?2 AND answered_at < ?3
    AND (?4 IS NULL OR prompt = ?4) AND (?5 IS NULL OR model = ?5)
    AND (?6 IS NULL OR groundedness < ?6)
    AND (?7 IS NULL OR (answered_at, answer_id) < (?7, ?8))
  ORDER BY answered_at DESC, answer_id DESC LIMIT ?9`

const CONVERSATION = `
  SELECT record FROM answers WHERE tenant = ? AND conversation_id = ?
  ORDER BY created_at DESC, answer_id DESC LIMIT ?`

/** Answers, evaluations and feedback in a database whose schema includes `answersSchema`. */
export function createSqliteAnswers(database: Database): Answers {
  async function write(sql: string, ...values: SqlValue[]): Promise<void> {
    await database.transaction([{ sql, values }])
  }
  return {
    put: (answer) =>
      write(
        'INSERT OR REPLACE INTO answers VALUES (?, ?, ?)',
        answer.tenant,
        answer.answerId,
        JSON.stringify(answer),
      ),
    async get(tenant, answerId) {
      const values = [tenant, answerId]
      const [answers, evaluations, feedback] = await database.transaction([
        { sql: 'SELECT record FROM answers WHERE tenant = ? AND answer_id = ?', values },
        { sql: 'SELECT record FROM evaluations WHERE tenant = ? AND answer_id = ?', values },
        { sql: 'SELECT record FROM feedback WHERE tenant = ? AND answer_id = ? ORDER BY created_at', values },
      ])
      const [answer] = parsed<AnswerRecord>(answers!)
      if (!answer) return null
      const [evaluation] = parsed<Evaluation>(evaluations!)
      return { answer, evaluation: evaluation ?? null, feedback: parsed<Feedback>(feedback!) }
    },
    putEvaluation: (tenant, evaluation) =>
      write(
        'INSERT OR REPLACE INTO evaluations VALUES (?, ?, ?, ?)',
        tenant,
        evaluation.answerId,
        JSON.stringify(evaluation),
        evaluation.results.find(({ name }) => name === 'groundedness')?.scoreValue ?? null,
      ),
    putFeedback: (tenant, feedback) =>
      write(
        'INSERT OR REPLACE INTO feedback VALUES (?, ?, ?)',
        tenant,
        feedback.feedbackId,
        JSON.stringify(feedback),
      ),
    async listEvaluations(tenant, { fromMs, toMs, prompt, model, below, limit, cursor }) {
      const [answeredAt, answerId] = cursor === undefined ? [null, null] : parseCursor(cursor)
      const rows = await database.all(
        LIST,
        tenant,
        fromMs ?? 0,
        toMs ?? Number.MAX_SAFE_INTEGER,
        prompt ?? null,
        model ?? null,
        below ?? null,
        answeredAt,
        answerId,
        limit + 1,
      )
      const page = rows.slice(0, limit)
      const evaluations = parsed<Evaluation>(page)
      const last = page.at(-1)
      if (rows.length <= limit || !last) return { evaluations }
      return { evaluations, cursor: formatCursor(Number(last.answered_at), String(last.answer_id)) }
    },
    async conversation(tenant, conversationId, limit) {
      const rows = await database.all(CONVERSATION, tenant, conversationId, limit)
      return parsed<AnswerRecord>(rows).reverse()
    },
    async expire(nowMs) {
      await database.transaction([
        { sql: 'DELETE FROM answers WHERE created_at < ?', values: [nowMs - TEXT_KEPT_MS] },
        { sql: 'DELETE FROM feedback WHERE created_at < ?', values: [nowMs - TEXT_KEPT_MS] },
        { sql: 'DELETE FROM evaluations WHERE answered_at < ?', values: [nowMs - SCORES_KEPT_MS] },
      ])
    },
    async ping() {
      await database.all('SELECT 1')
    },
    close: async () => {},
  }
}

function parsed<T>(rows: readonly Row[]): T[] {
  return rows.map(({ record }) => JSON.parse(String(record)) as T)
}
