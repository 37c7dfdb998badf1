/**
 * The port for devices on UDP: joins the socket with the DTLS listener, keeps a connection for each session in memory,
 * and wakes sessions from the store when their device speaks (docs/sessions.md).
 */

import type { KeyObject } from 'node:crypto'
import {
  type DropReason,
  type DtlsHandshakeStep,
  DtlsListener,
  type DtlsListenerHandlers,
  type DtlsSession,
  dtlsHandshakeStepHints,
  type Millis,
  ProtocolError,
  type SessionKey,
} from '@aloe/protocol'
import type { Logger } from 'pino'
import { type ConnectionHost, plainAddress } from './connection.ts'
import type { UdpStatistics } from './gateway.ts'
import type { DatagramPort, DevicePorts } from './ports.ts'
import type { SessionStore, StoredSession } from './session-store.ts'
import {
  connectionIdOf,
  splitAddress,
  UdpConnection,
  type UdpConnectionOwner,
  type UdpDropReason,
} from './udp-connection.ts'

export interface UdpListenerOptions {
  /** EC P-256, private. */
  readonly serverKey: KeyObject
  readonly sessions: SessionStore
  /** Number of this process among those that share the devices; it stands in all connection ids. */
  readonly node?: number
}

/** Datagrams that may wait for a session to come from the store: of one device, and of all. */
const maxWaiting = 8
const maxWaking = 20_000
/** A session that came from the store stays so long without an authentic datagram. */
const wakeTime: Millis = 10_000
/** Devices that are looked for at each poll after a start: a thousand a second, half of what a core can take. */
const rousedAtOnce = 100
/** What is dropped is logged so often, if there is anything. */
const reportEvery: Millis = 60_000

type DropCounts = Record<DropReason | UdpDropReason | 'waking' | 'send', number>

interface Waiting {
  readonly datagram: Uint8Array
  readonly address: string
}

export class UdpListener implements DtlsListenerHandlers, UdpConnectionOwner {
  readonly #host: ConnectionHost
  readonly #log: Logger
  readonly #store: SessionStore
  readonly #dtls: DtlsListener
  readonly #connections = new Map<DtlsSession, UdpConnection>()
  /** Sessions whose Hello has not come. */
  readonly #strangers = new Set<UdpConnection>()
  readonly #waking = new Map<string, Waiting[]>()
  readonly #drops = { 'before-hello': 0, 'bad-hello': 0, held: 0, sequence: 0, waking: 0, send: 0 }
  readonly #counts = { received: 0, sent: 0, resumed: 0 }
  /** Devices that were online when the last process ended, and are still to be looked for. */
  readonly #toRouse: string[]
  readonly #ports: DevicePorts
  #socket: DatagramPort | undefined
  /** Bytes of the datagram that is being taken, and whose datagram is being sent. */
  #length = 0
  #sender: UdpConnection | undefined
  /** The datagram that is being taken says that its sender has just resumed. */
  #marked = false
  #reportAt: Millis
  #reported = 0
  #closing = false

  constructor(host: ConnectionHost, log: Logger, ports: DevicePorts, options: UdpListenerOptions) {
    this.#host = host
    this.#log = log
    this.#ports = ports
    this.#store = options.sessions
    this.#toRouse = [...options.sessions.wereOnline]
    this.#reportAt = host.now() + reportEvery
    this.#dtls = new DtlsListener({
      serverKey: options.serverKey,
      random: host.random,
      handlers: this,
      node: options.node ?? 1,
      limits: { total: host.limits.maxHandshakes },
      maxSessions: host.limits.maxConnections,
    })
  }

  async listen(host: string, port: number): Promise<void> {
    this.#socket = await this.#ports.openUdp(host, port, {
      received: (datagram, from) => this.#received(datagram, from),
      failed: (error) => this.#log.error({ error }, 'the gateway cannot take datagrams'),
    })
  }

  get port(): number {
    return this.#socket?.address().port ?? 0
  }

  /** To be called some times a second. */
  poll(now: Millis): void {
    this.#dtls.poll(now)
    for (const deviceId of this.#toRouse.splice(-rousedAtOnce)) this.#rouse(deviceId)
    if (now < this.#reportAt) return
    this.#reportAt = now + reportEvery
    const { drops } = this.statistics()
    const total = Object.values(drops).reduce((sum, count) => sum + count, 0)
    if (total > this.#reported) this.#log.info({ drops }, 'datagrams were left out; the numbers are since the start')
    this.#reported = total
  }

  statistics(): UdpStatistics {
    const { received, sent, resumed } = this.#counts
    const { handshakesStarted, handshakesFailed, established, cookiesSent, moved } = this.#dtls.counters
    const drops: DropCounts = { ...this.#dtls.drops, ...this.#drops }
    return {
      datagrams: { received, sent },
      sessions: { stored: this.#store.size, inMemory: this.#dtls.sessionCount, resumed, moved },
      handshakes: {
        underWay: this.#dtls.handshakeCount,
        started: handshakesStarted,
        established,
        failed: handshakesFailed,
        cookiesSent,
      },
      drops,
    }
  }

  #received(datagram: Uint8Array, from: { readonly address: string; readonly port: number }): void {
    if (this.#closing) return
    this.#counts.received++
    this.#take(datagram, `${from.address}:${from.port}`, this.#host.now())
  }

  #take(datagram: Uint8Array, address: string, now: Millis): void {
    // Devices mark what they send after a resume, until they hear from us (device-protocol.md 2.6.2).
    this.#marked = datagram[0] === 253 || datagram[0] === 254
    this.#length = datagram.length
    this.#dtls.receive(datagram, address, now)
  }

  // The DTLS listener's side.

  send(datagram: Uint8Array, address: string): void {
    const { host, port } = splitAddress(address)
    this.#counts.sent++
    this.#sender?.countSent(datagram.length)
    this.#socket?.send(datagram, port, host, this.#sendDone)
  }

  #sendDone = (error: Error | null): void => {
    if (error) this.#drops.send++
  }

  established(session: DtlsSession, now: Millis): void {
    if (this.#strangers.size >= this.#host.limits.maxHandshakes) {
      this.#dtls.close(session, false)
      this.#host.refused({ address: session.address, step: 'hello', reason: 'too many devices are connecting at once' })
      return
    }
    const connection = new UdpConnection(this.#host, this, session)
    connection.lastReceived = now
    this.#connections.set(session, connection)
    this.#strangers.add(connection)
    connection.reschedule()
  }

  message(session: DtlsSession, message: Uint8Array, now: Millis): void {
    const connection = this.#connections.get(session)
    connection?.countReceived(this.#length)
    connection?.received(message, this.#marked, now)
  }

  moved(session: DtlsSession): void {
    const connection = this.#connections.get(session)
    connection?.moved()
    // Only by its address is a session without connection id found.
    if (connection && session.cid === undefined && session.deviceId !== undefined) {
      this.#store.index(indexOf(connection))
      this.save(connection)
    }
  }

  closed(session: DtlsSession, error: ProtocolError): void {
    const connection = this.#connections.get(session)
    if (connection) this.#forget(connection, error.message)
  }

  handshakeFailed(address: string, step: DtlsHandshakeStep, error: ProtocolError): void {
    this.#host.refused({
      address: readable(address),
      step,
      reason: `${error.message} (${dtlsHandshakeStepHints[step]})`,
    })
  }

  find(key: SessionKey, datagram: Uint8Array, address: string): undefined {
    const deviceId = this.#storedFor(key)
    if (deviceId === undefined || this.#dtls.sessionOf(deviceId)) return
    // It is not lost, as the DTLS listener will count it: it is taken again when the session is there.
    this.#dtls.drops[lookupDrop[key.kind]]--
    const waiting = this.#waking.get(deviceId)
    if (waiting) {
      if (waiting.length < maxWaiting) waiting.push({ datagram, address })
      else this.#drops.waking++
    } else if (this.#waking.size < maxWaking) this.#wake(deviceId, [{ datagram, address }])
    else this.#drops.waking++
  }

  #storedFor(key: SessionKey): string | undefined {
    switch (key.kind) {
      case 'cid':
        return this.#store.byConnectionId(Buffer.from(key.cid).toString('hex'))
      case 'device':
        return this.#store.has(key.deviceId) ? key.deviceId : undefined
      case 'address':
        return this.#store.byAddress(key.address)
    }
  }

  // Sessions from the store.

  /**
   * A device that waits, in the middle of an update, says nothing for minutes; and one on cellular for longer. So the
   * cloud speaks first when it is back.
   */
  #rouse(deviceId: string): void {
    if (this.#waking.has(deviceId) || this.#dtls.sessionOf(deviceId) || !this.#store.has(deviceId)) return
    this.#wake(deviceId, [], (connection) => connection.rouse(this.#host.now()))
  }

  #wake(deviceId: string, waiting: Waiting[], woken?: (connection: UdpConnection) => void): void {
    this.#waking.set(deviceId, waiting)
    this.#restore(deviceId)
      .catch((error: unknown) => this.#log.error({ deviceId, error }, 'a stored session could not be used'))
      .finally(() => {
        this.#waking.delete(deviceId)
        if (this.#closing) return
        for (const { datagram, address } of waiting) this.#take(datagram, address, this.#host.now())
        const session = this.#dtls.sessionOf(deviceId)
        const connection = session && this.#connections.get(session)
        if (connection) woken?.(connection)
      })
  }

  async #restore(deviceId: string): Promise<void> {
    const stored = await this.#store.load(deviceId)
    // A new handshake may have been faster.
    if (!stored || this.#closing || this.#dtls.sessionOf(deviceId)) return
    const session = this.#unpack(stored)
    if (!session) return
    const admission = this.#host.admit(deviceId, session.publicKey, 'ecc')
    const decided = admission instanceof Promise ? await admission : admission
    if (this.#closing || !session.alive) return
    if (!decided.ok) {
      // The key was changed, or the device removed, since the session was made.
      this.#dtls.close(session, false)
      this.#store.remove(deviceId)
      this.#host.refused({ deviceId, address: stored.address, step: decided.step, reason: decided.reason })
      return
    }
    const connection = new UdpConnection(this.#host, this, session)
    this.#connections.set(session, connection)
    connection.resume(stored, this.#host.now() + wakeTime)
    this.#counts.resumed++
  }

  #unpack(stored: StoredSession): DtlsSession | undefined {
    try {
      return this.#dtls.restore(stored.secrets)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#log.error({ deviceId: stored.deviceId, reason: error.message }, 'a stored session is of no use')
      this.#store.remove(stored.deviceId)
      return undefined
    }
  }

  // The connections' side.

  get queued(): number {
    return this.#socket?.getSendQueueSize() ?? 0
  }

  transmit(connection: UdpConnection, message: Uint8Array): void {
    this.#sender = connection
    try {
      this.#dtls.send(connection.dtls, message)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#drops.sequence++
    } finally {
      this.#sender = undefined
    }
    if (connection.dtls.saveDue) this.save(connection)
  }

  bind(connection: UdpConnection): void {
    this.#strangers.delete(connection)
    const previous = this.#dtls.bind(connection.dtls, connection.deviceId)
    const older = previous && this.#connections.get(previous)
    if (previous) this.#connections.delete(previous)
    older?.released('the device connected again')
    this.#store.index(indexOf(connection))
  }

  save(connection: UdpConnection, committed?: () => void): void {
    this.#store.save(connection, committed)
  }

  touch(connection: UdpConnection): void {
    this.#store.touch(connection)
  }

  putAway(connection: UdpConnection): void {
    connection.released('the device is asleep')
    this.#connections.delete(connection.dtls)
    this.#dtls.close(connection.dtls, false)
  }

  end(connection: UdpConnection, notify: boolean): void {
    this.#dtls.close(connection.dtls, notify)
    this.#forget(connection, 'the session has ended')
  }

  dropped(reason: UdpDropReason): void {
    this.#drops[reason]++
  }

  unixMillis(): number {
    return this.#host.unixMillis()
  }

  readonly unixTime = (): number => this.#host.unixTime()

  /** The session is void: in memory, and in the store if it is the device's. */
  #forget(connection: UdpConnection, reason: string): void {
    const { deviceId, dtls } = connection
    this.#connections.delete(dtls)
    this.#strangers.delete(connection)
    if (dtls.deviceId !== undefined) this.#store.remove(deviceId)
    connection.released(reason)
  }

  // The gateway's side.

  /** Ends a device's session, wherever it is: its key or its access has changed. */
  forget(deviceId: string, reason: string): void {
    const session = this.#dtls.sessionOf(deviceId)
    const connection = session && this.#connections.get(session)
    if (connection) {
      this.#log.info({ deviceId, reason }, 'the session of the device is void')
      this.end(connection, true)
    } else if (this.#store.has(deviceId)) this.#store.remove(deviceId)
  }

  /** Stores all sessions as they are, so that the next start goes on exactly here. */
  async close(): Promise<void> {
    this.#closing = true
    for (const connection of [...this.#connections.values()]) {
      if (connection.dtls.deviceId !== undefined) connection.finish()
    }
    await this.#store.flush()
    for (const connection of [...this.#connections.values()]) connection.released('the cloud is closing')
    const socket = this.#socket
    if (socket) await new Promise<void>((resolve) => socket.close(resolve))
  }
}

const lookupDrop = { cid: 'unknown-cid', device: 'unknown-device', address: 'unknown-address' } as const

function indexOf({ deviceId, dtls }: UdpConnection): Pick<StoredSession, 'deviceId' | 'connectionId' | 'address'> {
  return { deviceId, connectionId: connectionIdOf(dtls), address: dtls.address }
}

function readable(address: string): string {
  const { host, port } = splitAddress(address)
  return `${plainAddress(host)}:${port}`
}
