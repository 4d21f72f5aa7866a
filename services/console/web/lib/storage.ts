/** What a browser remembers for this page. One that may not remember anything forgets it when the page is left. */
export function createMemory(storage: () => Storage, name: string) {
  let held: string | null = null
  return {
    read: (): string | null => {
      try {
        return storage().getItem(name) ?? held
      } catch {
        return held
      }
    },
    write: (value: string): void => {
      held = value
      try {
        storage().setItem(name, value)
      } catch {
        // Held until the page is left.
      }
    },
  }
}
