const NAME = 'aquifer-api-key'

/** The API key, for as long as the tab is open. */
export function readKey(): string | null {
  return sessionStorage.getItem(NAME)
}
export function saveKey(key: string): void {
  sessionStorage.setItem(NAME, key)
}
