import { useEffect, useState } from 'react'
import { useOnline } from '../hooks/use-media.ts'
import type { Api } from '../lib/api.ts'
import { texts } from '../texts.ts'
import { CloseIcon, WarnIcon } from './icons.tsx'

interface NoticesProps {
  readonly api: Api
  /** Little room: what stands for long is left out. */
  readonly brief: boolean
  readonly extra: string | null
  readonly onDismissExtra: () => void
}

/** What people should know before they ask: no network, or a server that runs on makeshift parts. */
export function Notices({ api, brief, extra, onDismissExtra }: NoticesProps) {
  const online = useOnline()
  const [warnings, setWarnings] = useState<readonly string[]>([])

  useEffect(() => {
    const controller = new AbortController()
    // A server that cannot be reached is told of by whatever is asked of it.
    api.warnings(controller.signal).then(setWarnings, () => {})
    return () => controller.abort()
  }, [api])

  return (
    <div role="status" className="notices">
      {!online && <Notice text={texts.offline} />}
      {extra && <Notice text={extra} onDismiss={onDismissExtra} />}
      {(brief ? [] : warnings).map((warning) => (
        <Notice
          key={warning}
          text={warning}
          onDismiss={() => setWarnings(warnings.filter((other) => other !== warning))}
        />
      ))}
    </div>
  )
}

function Notice({ text, onDismiss }: { readonly text: string; readonly onDismiss?: () => void }) {
  return (
    <div className="notice">
      <WarnIcon />
      <p>{text}</p>
      {onDismiss && (
        <button type="button" className="quiet square small" aria-label={texts.dismiss} onClick={onDismiss}>
          <CloseIcon />
        </button>
      )}
    </div>
  )
}
