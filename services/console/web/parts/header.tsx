import { texts } from '../texts.ts'
import { DocumentsIcon, DropIcon, MoonIcon, PlusIcon, SunIcon } from './icons.tsx'

interface HeaderProps {
  readonly inert: boolean
  readonly dark: boolean
  readonly onTheme: () => void
  readonly documentsOpen: boolean
  readonly onDocuments: () => void
  /** Null while the conversation is new. */
  readonly onNew: (() => void) | null
}

export function Header({ inert, dark, onTheme, documentsOpen, onDocuments, onNew }: HeaderProps) {
  return (
    <header inert={inert}>
      <h1>
        <DropIcon />
        {texts.name}
      </h1>
      <nav>
        {onNew && (
          <button type="button" className="quiet" onClick={onNew} aria-label={texts.newConversation}>
            <PlusIcon />
            <span className="wide-only">{texts.newConversation}</span>
          </button>
        )}
        <button
          type="button"
          className="quiet"
          aria-label={texts.documents}
          aria-pressed={documentsOpen}
          onClick={onDocuments}
        >
          <DocumentsIcon />
          <span className="wide-only">{texts.documents}</span>
        </button>
        <button
          type="button"
          className="quiet square"
          aria-label={dark ? texts.toLight : texts.toDark}
          title={dark ? texts.toLight : texts.toDark}
          onClick={onTheme}
        >
          {dark ? <SunIcon /> : <MoonIcon />}
        </button>
      </nav>
    </header>
  )
}
