import { useEffect, useState, useSyncExternalStore } from 'react'
import { createMemory } from '../lib/storage.ts'

/** Whether a media query holds now. */
export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (changed) => {
      const list = matchMedia(query)
      list.addEventListener('change', changed)
      return () => list.removeEventListener('change', changed)
    },
    () => matchMedia(query).matches,
  )
}

export function useOnline(): boolean {
  return useSyncExternalStore(
    (changed) => {
      addEventListener('online', changed)
      addEventListener('offline', changed)
      return () => {
        removeEventListener('online', changed)
        removeEventListener('offline', changed)
      }
    },
    () => navigator.onLine,
  )
}

const theme = createMemory(() => localStorage, 'aquifer-theme')

/** Light or dark: as the system has it, until somebody chooses; the choice is remembered. */
export function useTheme(): { readonly dark: boolean; toggle: () => void } {
  const system = useMedia('(prefers-color-scheme: dark)')
  const [chosen, setChosen] = useState(() => theme.read())
  const dark = chosen === null ? system : chosen === 'dark'

  useEffect(() => {
    document.documentElement.dataset['theme'] = dark ? 'dark' : 'light'
  }, [dark])

  return {
    dark,
    toggle: () => {
      const next = dark ? 'light' : 'dark'
      theme.write(next)
      setChosen(next)
    },
  }
}
