/** What the tests of both ends share: keys, a listener, clients, and a network in simulated time. */
import { createPublicKey, randomBytes } from 'node:crypto'
import type { ProtocolError } from '../protocol-error.ts'
import { hex, unhex } from '../test-bytes.ts'
import type { Millis } from '../time.ts'
import { DtlsClient, type DtlsClientOptions } from './client.ts'
import { loadEcPrivateKey } from './ec-keys.ts'
import type { DtlsHandshakeStep } from './handshake-step.ts'
import { DtlsListener } from './listener.ts'
import type { DtlsListenerOptions } from './listener-options.ts'
import type { DtlsSession } from './session.ts'

/** The keys of the captured run (device-protocol.md 7.11). */
export const deviceKey = loadEcPrivateKey(
  unhex(
    '3077020101042063647ff93979d53dfaad2cc7cbcdfc39bfd3a328e6fc896f866808d24704d20aa00a06082a8648ce3d030107a14403420004' +
      '7d62f0a84ec32c1f1f9c781caec26364d30c5e5d11f12bd0feb93bcfdc40c14393c1dcd18e1d68994be69713eefef927bb362e37cacd83cf' +
      'eecc3d1ef1a45945',
  ),
)
export const serverKey = loadEcPrivateKey(
  unhex(
    '30770201010420f4413d4b67d2d08a4d2d5935de52c91ef908737b74f30b3f70c534d24839cbcca00a06082a8648ce3d030107a14403420004' +
      'd7abcaab7a37fd8d120f1074939085aec2948bab2ea3abc3c9a39db574134a0dcff4babaac208d218633924b1fe666a1019ffe7f2045fb29' +
      '0d4fc320355a354c',
  ),
)
export const serverPublicKey = createPublicKey(serverKey)
export const deviceId = '0f10aced2021222324252627'
export const deviceAddress = '192.0.2.1:5684'

export const random = (size: number): Uint8Array => new Uint8Array(randomBytes(size))

/** Numbers from 0 to 1 that a seed decides. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let value = state
    value = Math.imul(value ^ (value >>> 15), value | 1)
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61)
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32
  }
}

export interface Impairment {
  readonly loss: number
  readonly duplication: number
  /** Each datagram takes between 1 ms and this. */
  readonly delay: Millis
}

export const perfect: Impairment = { loss: 0, duplication: 0, delay: 1 }

/** Datagrams under way, in simulated time. */
export class TestNetwork {
  now: Millis = 1000
  impairment: Impairment = perfect
  readonly #rng: () => number
  #underway: { at: Millis; deliver: () => void }[] = []

  constructor(seed = 1) {
    this.#rng = seeded(seed)
  }

  carry(deliver: () => void): void {
    const { loss, duplication, delay } = this.impairment
    const copies = (this.#rng() < loss ? 0 : 1) + (this.#rng() < duplication ? 1 : 0)
    for (let i = 0; i < copies; i++) {
      this.#underway.push({ at: this.now + 1 + Math.floor(this.#rng() * delay), deliver })
    }
  }

  /** Runs until nothing is under way and nobody has a deadline before `end`. */
  run(end: Millis, ends: readonly { poll(now: Millis): void; nextDeadline(): Millis | undefined }[]): void {
    for (;;) {
      const times = [...this.#underway.map((one) => one.at), ...ends.map((one) => one.nextDeadline() ?? end)]
      const next = Math.min(end, ...times)
      if (next >= end && !this.#underway.some((one) => one.at < end)) {
        this.now = end
        return
      }
      this.now = Math.max(this.now, next)
      const due = this.#underway.filter((one) => one.at <= this.now).sort((a, b) => a.at - b.at)
      this.#underway = this.#underway.filter((one) => one.at > this.now)
      for (const one of due) one.deliver()
      for (const one of ends) one.poll(this.now)
    }
  }
}

/** A listener that notes what it tells. */
export class TestCloud {
  readonly sent: { datagram: Uint8Array; to: string }[] = []
  readonly messages: string[] = []
  readonly sessions: DtlsSession[] = []
  readonly closed: string[] = []
  readonly failures: { step: DtlsHandshakeStep; code: string }[] = []
  readonly moves: string[] = []
  readonly listener: DtlsListener
  onMessage: (session: DtlsSession, message: Uint8Array) => void = () => undefined
  onSend: (datagram: Uint8Array, to: string) => void = () => undefined

  constructor(options: Partial<DtlsListenerOptions> = {}) {
    this.listener = new DtlsListener({
      serverKey,
      random,
      needCookie: () => false,
      ...options,
      handlers: {
        send: (datagram, to) => {
          this.sent.push({ datagram, to })
          this.onSend(datagram, to)
        },
        established: (session) => void this.sessions.push(session),
        message: (session, message) => {
          this.messages.push(hex(message))
          this.onMessage(session, message)
        },
        moved: (session, from) => void this.moves.push(`${from} > ${session.address}`),
        closed: (_session, error) => void this.closed.push(error.code),
        handshakeFailed: (_address, step, error) => void this.failures.push({ step, code: error.code }),
        ...options.handlers,
      },
    })
  }

  /** What was sent since the last call. */
  take(): Uint8Array[] {
    return this.sent.splice(0).map((one) => one.datagram)
  }
}

/** A client that notes what it tells. */
export class TestDevice {
  readonly sent: Uint8Array[] = []
  readonly messages: string[] = []
  readonly failures: { step: DtlsHandshakeStep; code: string; error: ProtocolError }[] = []
  readonly established: { resumed: boolean; application: string }[] = []
  stored: Uint8Array | undefined
  stores = 0
  readonly client: DtlsClient
  onSend: (datagram: Uint8Array) => void = () => undefined

  constructor(options: Partial<DtlsClientOptions> = {}) {
    this.stored = options.stored
    this.client = new DtlsClient({
      deviceKey,
      serverKey: serverPublicKey,
      deviceId,
      random,
      ...options,
      handlers: {
        send: (datagram) => {
          this.sent.push(datagram)
          this.onSend(datagram)
        },
        established: (info) =>
          void this.established.push({ resumed: info.resumed, application: hex(info.application) }),
        message: (message) => void this.messages.push(hex(message)),
        store: (session) => {
          this.stored = session
          this.stores++
        },
        failed: (step, error) => void this.failures.push({ step, code: error.code, error }),
      },
    })
  }

  take(): Uint8Array[] {
    return this.sent.splice(0)
  }
}

/** Carries datagrams both ways, without loss, until nothing moves. */
export function pump(cloud: TestCloud, device: TestDevice, now = 1000, address = deviceAddress): void {
  for (;;) {
    const up = device.take()
    for (const datagram of up) cloud.listener.receive(datagram, address, now)
    const down = cloud.take()
    for (const datagram of down) device.client.receive(datagram, now)
    if (up.length + down.length === 0) return
  }
}

/** Both ends after a handshake, bound to the device. */
export function connected(
  client: Partial<DtlsClientOptions> = {},
  server: Partial<DtlsListenerOptions> = {},
): { cloud: TestCloud; device: TestDevice; session: DtlsSession } {
  const cloud = new TestCloud(server)
  const device = new TestDevice(client)
  device.client.start(1000)
  pump(cloud, device)
  const [session] = cloud.sessions
  if (session === undefined) throw new Error('the handshake failed')
  cloud.listener.bind(session, deviceId)
  return { cloud, device, session }
}
