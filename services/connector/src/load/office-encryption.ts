import officeCrypto from 'officecrypto-tool'

import { passwordNeeded } from './failures.ts'

/**
 * An Office file under a password → the ZIP in it, by the first password that opens it (agile and standard encryption, [MS-OFFCRYPTO]
 * 2.3.4). A wrong one costs what the file's spin count asks for, a third of a second at Office's own 100,000: a file that asks for more
 * than there is time for ends with its worker's time. Fails `encrypted`.
 */
export async function decryptOffice(bytes: Uint8Array, passwords: readonly string[]): Promise<Uint8Array> {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  let cause: unknown
  for (const password of passwords) {
    try {
      return await officeCrypto.decrypt(file, { password })
    } catch (error) {
      // A damaged file, and a kind of protection that the library does not know, fail in ways of their own.
      cause = error
    }
  }
  throw passwordNeeded('file', cause)
}
