import { useRef, useState } from 'react'
import type { DragEvent } from 'react'

/** Files dropped anywhere; `onFolders` gets the names of folders, which a page cannot take as they are. */
export function useFileDrop(
  onFiles: (files: readonly File[]) => void,
  onFolders: (names: readonly string[]) => void,
) {
  const [over, setOver] = useState(false)
  /** Entering a child leaves its parent; the page is left when all is left. */
  const depth = useRef(0)

  const handlers = {
    onDragEnter(event: DragEvent) {
      if (!hasFiles(event)) return
      depth.current++
      setOver(true)
    },
    onDragLeave(event: DragEvent) {
      if (!hasFiles(event)) return
      depth.current = Math.max(0, depth.current - 1)
      setOver(depth.current > 0)
    },
    onDragOver(event: DragEvent) {
      if (hasFiles(event)) event.preventDefault()
    },
    onDrop(event: DragEvent) {
      if (!hasFiles(event)) return
      event.preventDefault()
      depth.current = 0
      setOver(false)
      const files: File[] = []
      const folders: string[] = []
      for (const item of event.dataTransfer.items) {
        const file = item.getAsFile()
        if (item.webkitGetAsEntry()?.isDirectory) folders.push(file?.name ?? '')
        else if (file) files.push(file)
      }
      onFolders(folders)
      if (files.length > 0) onFiles(files)
    },
  }
  return { over, handlers }
}

function hasFiles(event: DragEvent): boolean {
  return event.dataTransfer.types.includes('Files')
}
