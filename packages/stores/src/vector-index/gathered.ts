/** Calls of one turn of the event loop become one call of `task`, of at most `max` items; all of them share its outcome. */
export function gathered<T>(
  max: number,
  task: (items: readonly T[]) => Promise<void>,
): (item: T) => Promise<void> {
  let open: { items: T[]; done: Promise<void> } | null = null

  function begin() {
    const items: T[] = []
    const done = Promise.resolve().then(async () => {
      if (open?.items === items) open = null
      await task(items)
    })
    return { items, done }
  }

  return async (item) => {
    if (!open || open.items.length === max) open = begin()
    open.items.push(item)
    await open.done
  }
}
