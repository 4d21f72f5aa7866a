import { createMemory } from './storage.ts'

/** The API key, for as long as the tab is open. */
export const apiKey = createMemory(() => sessionStorage, 'aquifer-api-key')
