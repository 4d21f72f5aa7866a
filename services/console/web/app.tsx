import { useCallback, useMemo, useRef, useState } from 'react'
import { useChat } from './hooks/use-chat.ts'
import { useDocuments } from './hooks/use-documents.ts'
import { useFileDrop } from './hooks/use-file-drop.ts'
import { useMedia, useTheme } from './hooks/use-media.ts'
import { usePanel } from './hooks/use-panel.ts'
import { useUploads } from './hooks/use-uploads.ts'
import { apiKey } from './lib/api-key.ts'
import { createApi } from './lib/api.ts'
import { Composer } from './parts/composer.tsx'
import { Conversation } from './parts/conversation.tsx'
import { DocumentsPanel } from './parts/documents-panel.tsx'
import { Empty } from './parts/empty.tsx'
import { Header } from './parts/header.tsx'
import { KeyDialog } from './parts/key-dialog.tsx'
import { Notices } from './parts/notices.tsx'
import { SidePanel } from './parts/side-panel.tsx'
import { SourcePanel } from './parts/source-panel.tsx'
import { Uploads } from './parts/uploads.tsx'
import { texts } from './texts.ts'

/** More of them at once are the command line's work. */
const MAX_FILES = 200
/** Beside the conversation there is room for a panel; else it covers it. */
const WIDE = '(min-width: 62rem)'

export function App() {
  const [keyRound, setKeyRound] = useState(0)
  const [wantsKey, setWantsKey] = useState(false)
  const api = useMemo(() => createApi({ read: apiKey.read, missing: () => setWantsKey(true) }), [])
  const documents = useDocuments(api, keyRound)
  const uploads = useUploads(api, documents.reload)
  const chat = useChat(api, uploads.receipts)
  const theme = useTheme()
  const wide = useMedia(WIDE)
  const panel = usePanel(wide)
  const composer = useRef<HTMLTextAreaElement>(null)
  const [dropNotice, setDropNotice] = useState<string | null>(null)
  function addFiles(files: readonly File[]): void {
    uploads.add(files.slice(0, MAX_FILES))
    if (files.length > MAX_FILES) setDropNotice(texts.tooMany(MAX_FILES))
  }
  const drop = useFileDrop(addFiles, (folders) => setDropNotice(folders.map(texts.folder).join(' ') || null))
  const focusComposer = useCallback(() => composer.current?.focus(), [])
  const covered = panel.shown !== null && !wide

  return (
    <div className={panel.shown && wide ? 'app with-panel' : 'app'} {...drop.handlers}>
      <a className="skip" href="#ask">
        {texts.skip}
      </a>
      <Header
        inert={covered}
        dark={theme.dark}
        onTheme={theme.toggle}
        documentsOpen={panel.shown?.kind === 'documents'}
        onDocuments={panel.toggleDocuments}
        onNew={
          chat.turns.length === 0
            ? null
            : () => {
                chat.reset()
                focusComposer()
              }
        }
      />
      <main inert={covered}>
        <Notices
          api={api}
          brief={!wide && chat.turns.length > 0}
          extra={dropNotice}
          onDismissExtra={() => setDropNotice(null)}
        />
        {chat.turns.length === 0 ? (
          <Empty
            documents={documents}
            onAsk={chat.ask}
            onFiles={addFiles}
            onKey={wantsKey ? null : () => setWantsKey(true)}
          />
        ) : (
          <Conversation
            api={api}
            turns={chat.turns}
            onRetry={chat.retry}
            onOpen={panel.openSource}
            onKey={() => setWantsKey(true)}
          />
        )}
        <div className="dock">
          <Uploads
            uploads={uploads.uploads}
            onDismiss={uploads.dismiss}
            onClear={uploads.clear}
            onOpen={panel.openDocument}
          />
          <Composer ref={composer} busy={chat.busy} onAsk={chat.ask} onStop={chat.stop} onFiles={addFiles} />
        </div>
      </main>
      {panel.shown && (
        <SidePanel
          key={panel.shown.kind === 'source' ? panel.shown.key : 'documents'}
          title={panel.shown.kind === 'documents' ? texts.documents : texts.source}
          covers={!wide}
          takesFocus={panel.takesFocus}
          onClose={panel.close}
          onBack={panel.shown.kind === 'source' && panel.shown.back ? panel.showDocuments : null}
        >
          {panel.shown.kind === 'documents' ? (
            <DocumentsPanel
              api={api}
              onKey={() => setWantsKey(true)}
              documents={documents}
              onOpen={panel.openDocument}
              onPassage={panel.openSource}
            />
          ) : (
            <SourcePanel api={api} target={panel.shown.target} onOpen={panel.openDocument} />
          )}
        </SidePanel>
      )}
      {drop.over && (
        <div className="drop-over" aria-hidden="true">
          <p>{texts.dropHere}</p>
        </div>
      )}
      {wantsKey && (
        <KeyDialog
          refused={apiKey.read() !== null}
          onCancel={() => setWantsKey(false)}
          onKey={(key) => {
            apiKey.write(key)
            setWantsKey(false)
            setKeyRound(keyRound + 1)
          }}
        />
      )}
    </div>
  )
}
