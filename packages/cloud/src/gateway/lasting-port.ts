/** For tests: a UDP port to which a cloud can come back after a restart. */
import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'

/** Free now, and outside the range from which systems give ports to clients, who would take it in between. */
export async function lastingUdpPort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 30_000)
    const socket = createSocket('udp4')
    const free = await new Promise<boolean>((resolve) => {
      socket.once('error', () => resolve(false))
      socket.bind(port, '127.0.0.1', () => resolve(true))
    })
    await new Promise<void>((resolve) => socket.close(() => resolve()))
    if (free) return port
  }
}
