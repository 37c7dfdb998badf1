import { createSocket, type Socket } from 'node:dgram'
import { lookup } from 'node:dns'
import type { UdpHandlers, UdpSocket } from '../hal.ts'

/**
 * A real UDP socket that hears one host only.
 *
 * What the network says about a datagram (nobody listens, no route) is no reason to close it: datagrams get lost, and
 * whoever sends them repeats them (device-protocol.md 2.9).
 */
export function connectUdp(host: string, port: number, handlers: UdpHandlers): UdpSocket {
  let socket: Socket | undefined
  let open = true
  let connected = false
  const close = () => {
    open = false
    socket?.close()
    socket = undefined
  }
  const fail = (error: Error) => {
    if (!open) return
    close()
    handlers.closed(error)
  }
  lookup(host, { order: 'ipv4first' }, (error, address, family) => {
    if (!open) return
    if (error) {
      fail(error)
      return
    }
    const made = createSocket(family === 6 ? 'udp6' : 'udp4')
    socket = made
    made.on('error', (problem) => {
      if (!connected) fail(problem)
    })
    made.on('message', (bytes) => {
      if (open) handlers.datagram(bytes)
    })
    made.on('connect', () => {
      connected = true
      if (open) handlers.open()
    })
    made.connect(port, address)
  })
  return {
    send: (datagram) => {
      // With a callback a failed send is told to it and not as an event.
      if (open && connected) socket?.send(datagram, () => {})
    },
    close,
  }
}
