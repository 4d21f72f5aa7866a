/**
 * pdf.js wants this of a browser while it is imported, for drawing, and takes it from a native library where it can. Its texts are
 * read without either.
 */
Object.assign(globalThis, { DOMMatrix: Object })
