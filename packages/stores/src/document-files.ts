import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { Blobs } from './blobs/port.ts'

/**
 * What is kept of a document's versions beside the index: the original bytes, and the extracted text that ranges refer to.
 * Everything of a version lies under one prefix, so that a superseded or deleted one leaves as a whole.
 */
export interface DocumentFiles {
  /** Writing the same version again replaces it. `upload` names the blob that already holds the bytes. */
  putSource(document: VersionKey, source: SourceMeta & { bytes: Buffer | null }): Promise<void>
  putText(document: VersionKey, text: string): Promise<void>
  text(document: VersionKey): Promise<string | null>
  source(document: VersionKey): Promise<(SourceMeta & { content: Readable }) | null>
  /** What is known of the source, without its bytes. */
  meta(document: VersionKey): Promise<SourceMeta | null>
  /**
   * Removes the versions that `gone` names, with their uploads, and the blob `upload` of a version that was never written; but none
   * that a version which stays names too.
   */
  remove(
    tenant: string,
    documentId: string,
    gone: (version: string) => boolean,
    upload?: string | null,
  ): Promise<void>
}

export interface VersionKey {
  readonly tenant: string
  readonly documentId: string
  readonly version: string
}

export interface SourceMeta {
  readonly contentType: string
  readonly filename: string | null
  readonly upload: string | null
}

function documentPrefix(tenant: string, documentId: string): string {
  // Any Unicode may be in an id; a hash of it may stand in a path.
  return `documents/${tenant}/${createHash('sha256').update(documentId).digest('hex')}/`
}

export function createDocumentFiles(blobs: Blobs): DocumentFiles {
  const prefixOf = ({ tenant, documentId, version }: VersionKey) =>
    `${documentPrefix(tenant, documentId)}${version}/`

  async function readMeta(prefix: string): Promise<SourceMeta | null> {
    const bytes = await blobs.get(`${prefix}meta.json`)
    return bytes ? (JSON.parse(bytes.toString()) as SourceMeta) : null
  }

  return {
    async putSource(document, { bytes, ...meta }) {
      const prefix = prefixOf(document)
      if (bytes) await blobs.put(`${prefix}source`, bytes)
      await blobs.put(`${prefix}meta.json`, Buffer.from(JSON.stringify(meta)))
    },
    async putText(document, text) {
      await blobs.put(`${prefixOf(document)}text`, Buffer.from(text))
    },
    async text(document) {
      return (await blobs.get(`${prefixOf(document)}text`))?.toString() ?? null
    },
    async source(document) {
      const prefix = prefixOf(document)
      const meta = await readMeta(prefix)
      const content = meta && (await blobs.stream(meta.upload ?? `${prefix}source`))
      return meta && content ? { ...meta, content } : null
    },
    meta: (document) => readMeta(prefixOf(document)),
    async remove(tenant, documentId, gone, upload = null) {
      const prefix = documentPrefix(tenant, documentId)
      const versions = new Set(
        (await blobs.list(prefix)).map((key) => key.slice(prefix.length).split('/')[0]!),
      )
      const uploadOf = new Map<string, string | null>()
      for (const version of versions)
        uploadOf.set(version, (await readMeta(`${prefix}${version}/`))?.upload ?? null)
      const kept = new Set([...versions].filter((version) => !gone(version)).map((v) => uploadOf.get(v)))
      const drop = async (blob: string | null): Promise<void> => {
        if (blob !== null && !kept.has(blob)) await blobs.delete(blob)
      }
      for (const version of [...versions].filter(gone)) {
        // The upload first: while the version's own files stand, a repeated removal still finds it.
        await drop(uploadOf.get(version)!)
        await blobs.deletePrefix(`${prefix}${version}/`)
      }
      await drop(upload)
    },
  }
}
