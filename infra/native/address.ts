import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

/** One TCP address of loopback behind which another server can take over, as a service's address has it. */
export interface Address {
  readonly host: string
  /** Cuts every connection; new ones go to that port. */
  lead(port: number): void
  stop(): Promise<void>
}

export async function startAddress(firstPort: number): Promise<Address> {
  const open = new Set<Socket>()
  let port = firstPort
  const server = createServer((client) => {
    const upstream = connect({ host: '127.0.0.1', port })
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(from)
      from.pipe(to)
      from.once('error', () => to.destroy())
      from.once('close', () => {
        open.delete(from)
        to.destroy()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    lead(to) {
      port = to
      for (const socket of open) socket.destroy()
    },
    async stop() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}
