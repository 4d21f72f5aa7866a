import type { Failure } from './lib/failure.ts'
import type { DocumentState } from './lib/types.ts'

/** Every word that people read here, in one place. */
export const texts = {
  name: 'Aquifer',
  skip: 'Skip to the question',
  newConversation: 'New conversation',
  documents: 'Documents',
  toDark: 'Use dark colours',
  toLight: 'Use light colours',
  close: 'Close',
  dismiss: 'Dismiss',
  conversation: 'Conversation',
  pageFailed: 'This page failed. What you added is safe on the server: load the page again.',
  reload: 'Load the page again',

  ask: 'Your question',
  askPlaceholder: 'Ask your documents',
  askHint: 'Enter asks. Shift+Enter starts a new line.',
  send: 'Ask',
  stop: 'Stop',
  addFiles: 'Add files',
  dropHere: 'Drop the files to add them',

  emptyTitle: 'Ask your documents',
  emptyNone:
    'Nothing is here yet. Add a file, wait until it says “searchable”, then ask about it. Every answer shows the passages it rests on.',
  emptySome: (documents: number, passages: number) =>
    `${count(documents, 'document')} with ${count(passages, 'passage')} ${documents === 1 ? 'is' : 'are'} searchable. Every answer shows the passages it rests on.`,
  chooseFiles: 'Choose files',
  dropHint: 'or drop them anywhere on this page: PDF, Markdown, HTML, text and more',
  tryOne: 'Questions to try',
  /** About samples/, which a first start brings along. */
  examples: [
    'What is a floor?',
    'Who introduced inverse document frequency?',
    'What happens on DELETE?',
    'How are answers scored?',
  ],

  youAsked: 'You asked',
  waiting: 'Looking through the documents…',
  writing: 'Writing the answer.',
  answered: 'The answer is complete.',
  stopped: 'Stopped.',
  citation: (marker: string, title: string) => `Source ${marker}: ${title}`,
  writtenByAi: (model: string) => `Written by an AI (${model}). It can be wrong: check the sources.`,
  quoted: 'Put together by a program from sentences quoted word for word. No language model wrote it.',
  notFresh:
    'Some of what was just added was not searchable yet when this was answered. Ask again in a moment.',
  /** By what the first screen says of a document. */
  screened: {
    injection:
      'A source of this answer holds words that look like instructions to an AI. They were taken as text only.',
    unsafe: 'A source of this answer holds active content, such as a script. It was taken as text only.',
  },
  abstained:
    'No answer was found in the documents. Add a document that holds it, or put the question in other words.',
  supported: 'Supported by the sources',
  unsupported: 'Not fully supported: check the sources',
  groundedness: (share: number) => `groundedness ${percent(share)}`,
  evaluated: 'checked again after the answer',
  claimsSupported: (supported: number, all: number) =>
    `${supported} of ${count(all, 'statement')} found in the sources`,
  restsOn: (passages: number) => `Rests on ${count(passages, 'passage')}`,
  cited: 'cited',
  score: (score: number) => `score ${score.toFixed(2)}`,
  page: (page: number) => `page ${page}`,

  helpful: 'This answer helps',
  notHelpful: 'This answer does not help',
  correction: 'What would have been right? (optional)',
  sendFeedback: 'Send feedback',
  cancel: 'Cancel',
  thanks: 'Thank you. It is kept with the answer.',
  tryAgain: 'Try again',

  uploads: 'Files being added',
  sending: (share: number) => `sending, ${percent(share)}`,
  reading: 'being read and indexed…',
  searchable: 'searchable',
  folder: (name: string) => `${name} is a folder. Add its files, or all of it with: aquifer publish`,

  tooMany: (most: number) => `The first ${most} files are added. Add more with: aquifer publish`,
  clear: 'Clear what is done',

  counts: (documents: number, passages: number) =>
    `${count(documents, 'document')} searchable, ${count(passages, 'passage')}`,
  find: 'Name or content',
  findLabel: 'Find documents by name; Enter searches inside them',
  anyState: 'Any state',
  stateLabel: 'State',
  noneMatch: 'No document matches. Press Enter to search inside all of them.',
  noDocuments: 'No documents yet. Drop files anywhere on this page.',
  more: 'Show more',
  hits: (query: string, hits: number) => `${count(hits, 'passage')} for “${query}”`,
  backToList: 'Back to all documents',
  open: (name: string) => `Open ${name}`,
  remove: (name: string) => `Delete ${name}`,
  removeAsk: 'Delete it? Nobody will find it any more, and this cannot be undone.',
  removeYes: 'Delete',
  removeNo: 'Keep',
  removed: (name: string) => `${name} was deleted.`,
  passages: (n: number) => count(n, 'passage'),
  language: (tag: string) => languageName(tag),
  nearlyAs: 'Nearly the same as',
  searchableAlike: ([first, ...others]: readonly string[]) =>
    `searchable; nearly the same as ${first}${others.length > 0 ? ` and ${others.length} more` : ''}`,
  olderVisible: 'the earlier version stays searchable',

  source: 'Source',
  loading: 'Opening the source…',
  asText: 'Text',
  asPage: 'Page',
  pageOf: (page: number, pages: number) => `Page ${page} of ${pages}`,
  pageImage: (page: number) => `Page ${page} as it looks. “Text” has it to read.`,
  previousPage: 'Previous page',
  nextPage: 'Next page',
  passageHere: 'The passage is on this page, but its place could not be marked. “Text” marks it.',
  showBefore: 'Show what comes before',
  showAfter: 'Show what comes after',
  original: 'Download the original',
  replaced:
    'This document was replaced by a newer version after the answer was written, and the older text is no longer kept. The answer quoted:',
  openNewest: 'Open the newest version',
  newest: 'This is the newest version, which replaced the one that was cited.',
  notInNewest: 'The cited sentence does not stand in it any more.',
  deleted: 'This document was deleted after the answer was written.',

  keyTitle: 'This server asks for an API key',
  keyLabel: 'API key',
  keyHint: 'It is kept until this tab is closed, and sent to this server only. “aquifer keys add” makes one.',
  keyWrong: 'The server did not take that key. Check it, or ask for a new one.',
  keySave: 'Use this key',
  keyNeeded: 'An API key is needed.',
  keyEnter: 'Enter a key',
  offline: 'You are offline. What you ask now cannot be sent.',
} as const

const stateTexts: Readonly<Record<DocumentState, string>> = {
  queued: 'being indexed',
  indexed: 'searchable',
  failed: 'not readable',
  quarantined: 'held back',
  deleted: 'deleted',
}
export const stateText = (state: DocumentState): string => stateTexts[state]

/** What happened, and what to do now. */
export function failureText({ status, code, message }: Failure): string {
  switch (code) {
    case 'unreachable':
      return 'The server cannot be reached. Check that it runs and that you are online, then try again.'
    case 'broken_off':
      return 'The answer broke off before its end. Try again.'
    case 'upload_cut':
      return 'The connection closed while the file was sent. It may be larger than the server takes: try a smaller part.'
    case 'evidence_deleted':
      return 'A source was deleted while the answer was written. Ask again.'
    case 'access_required':
      return 'A restricted document has this name. Give the file another name, or replace it with: aquifer publish'
    case 'unknown_document':
      return 'This document is not here any more.'
  }
  if (status === 401) return 'The server asks for an API key.'
  if (status === 403) return `This is not allowed with your key. ${message}`.trim()
  if (status === 413)
    return 'The file is larger than the server takes. Split it, or have the limit raised (AQUIFER_MAX_DOCUMENT_BYTES).'
  if (status === 429) return 'Too many requests at once. Wait a moment, then try again.'
  if (status === 503)
    return 'A part of the server is not available right now. Nothing is lost: try again in a moment.'
  if (status >= 500) return `Something failed on the server; its log says what. ${message}`.trim()
  return message === '' ? `The server refused this (${status}).` : sentence(message)
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`
}
/** A document may name a language that is none. */
function languageName(tag: string): string {
  try {
    return new Intl.DisplayNames('en', { type: 'language' }).of(tag) ?? tag
  } catch {
    return tag
  }
}
function count(n: number, noun: string): string {
  return `${n.toLocaleString('en')} ${noun}${n === 1 ? '' : 's'}`
}
function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}
