/** Brings an element into the middle of what scrolls around it; the page itself stays where it is. */
export function centre(element: Element | null): void {
  const scroller = element?.closest('.panel-body')
  if (!element || !scroller) return
  const inner = element.getBoundingClientRect()
  const outer = scroller.getBoundingClientRect()
  scroller.scrollTop += inner.top - outer.top - (outer.height - Math.min(inner.height, outer.height)) / 2
}
