/** For tests: a device's channel to the cloud over a real socket, with either transport. */

import { type KeyObject, randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { DtlsClient, type ProtocolError, TcpClientChannel } from '@aloe/protocol'

export interface FakeChannelOptions {
  readonly id: string
  readonly port: number
  /** RSA-1024 for TCP, EC P-256 for UDP; private. */
  readonly deviceKey: KeyObject
  /** The cloud's public key. */
  readonly serverKey: KeyObject
  readonly handlers: {
    /** @param firstMessageId for the session @param resumed the session goes on, without Hello */
    established(firstMessageId: number, resumed: boolean): void
    message(message: Uint8Array): void
    failed(step: string, error: ProtocolError): void
  }
}

export interface FakeChannel {
  readonly alive: boolean
  send(message: Uint8Array): void
  poll(): void
  /** Ends without a word. */
  close(): void
}

export function openTcp({ id, port, deviceKey, serverKey, handlers }: FakeChannelOptions): FakeChannel {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let open = true
  const channel = new TcpClientChannel({
    deviceId: id,
    deviceKey,
    serverKey,
    bufferSize: 1_152,
    handlers: {
      write: (bytes) => socket.write(bytes),
      established: ({ messageIdSeed }) => handlers.established(messageIdSeed + 1, false),
      message: handlers.message,
      failed: handlers.failed,
    },
  })
  channel.start(performance.now())
  socket.on('data', (bytes) => {
    if (open) channel.receive(bytes, performance.now())
  })
  socket.on('error', () => undefined)
  socket.on('close', () => {
    if (open) channel.disconnected()
  })
  return {
    get alive() {
      return open && channel.alive
    },
    send: (message) => channel.send(message),
    poll: () => channel.poll(performance.now()),
    close() {
      open = false
      channel.close()
      socket.destroy()
    },
  }
}

export interface FakeUdpChannel extends FakeChannel {
  readonly client: DtlsClient
  /** What the device keeps in flash. */
  readonly stored: Uint8Array | undefined
  /** Every datagram that it sent, and that came back to it. */
  readonly sent: Uint8Array[]
  readonly received: Uint8Array[]
  /** Goes on from another port, as behind a NAT that has forgotten. */
  rebind(): Promise<void>
}

/** @param options `stored`: resume that session; `dialect`: as older Device OS */
export function openUdp(
  { id, port, deviceKey, serverKey, handlers }: FakeChannelOptions,
  options: { stored?: Uint8Array | undefined; dialect?: '4.0' | '3.1' | '0.6' } = {},
): FakeUdpChannel {
  const makeSocket = () => {
    const made = createSocket('udp4')
    made.on('message', (datagram) => {
      if (made !== socket) return
      received.push(datagram)
      client.receive(datagram, performance.now())
    })
    return made
  }
  const sent: Uint8Array[] = []
  const received: Uint8Array[] = []
  let open = true
  let stored = options.stored
  const client: DtlsClient = new DtlsClient({
    deviceId: id,
    deviceKey,
    serverKey,
    random: randomBytes,
    stored,
    ...(options.dialect && { dialect: options.dialect }),
    handlers: {
      send: (datagram) => {
        sent.push(datagram)
        if (open) socket.send(datagram, port, '127.0.0.1')
      },
      established: ({ resumed }) => handlers.established(1, resumed),
      message: handlers.message,
      store: (session) => {
        stored = session
      },
      failed: handlers.failed,
    },
  })
  let socket = makeSocket()
  client.start(performance.now())
  return {
    client,
    sent,
    received,
    get alive() {
      return open && client.alive
    },
    get stored() {
      return stored
    },
    send: (message) => client.send(message),
    poll: () => client.poll(performance.now()),
    async rebind() {
      const old = socket
      socket = makeSocket()
      old.close()
    },
    close() {
      if (!open) return
      client.close()
      open = false
      // What was just sent still goes out: an alert, for example.
      const last = socket
      setTimeout(() => last.close(), 20)
    },
  }
}
