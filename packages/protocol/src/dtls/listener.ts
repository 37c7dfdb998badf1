import { ProtocolError } from '../protocol-error.ts'
import type { Millis } from '../time.ts'
import { Admission, defaultHandshakeLimits } from './admission.ts'
import { alertName, alertNumber, decodeAlert, encodeAlert } from './alert.ts'
import { Cookies } from './cookies.ts'
import { type DropCounters, type DropReason, newDropCounters } from './drops.ts'
import { ecPublicKeyDer } from './ec-keys.ts'
import { defaultHandshakeMtu } from './flight.ts'
import { decodeFragments, encodeHandshake, type HandshakeFragment } from './handshake-message.ts'
import {
  type ClientHello,
  decodeClientHello,
  encodeHelloVerifyRequest,
  helloParameters,
  refusalOf,
  wantsConnectionId,
} from './hello.ts'
import { HotPool } from './hot-pool.ts'
import { KnownKeys } from './known-keys.ts'
import {
  type DtlsListenerHandlers,
  type DtlsListenerOptions,
  defaultHotSessions,
  defaultMaxSessions,
  type SessionKey,
} from './listener-options.ts'
import { contentType, handshakeType, recordHeaderSize } from './profile.ts'
import type { OpenedRecord } from './protection.ts'
import { type DtlsRecord, encodePlainRecord, type ParsedDatagram, parseDatagram } from './record.ts'
import {
  amplificationFactor,
  largestFirstFlight,
  ServerHandshake,
  type ServerHandshakeResult,
  smallestWholeMtu,
} from './server-handshake.ts'
import { DtlsSession } from './session.ts'
import { cidNode, makeCid, SessionTable } from './session-table.ts'

/** Handshakes are looked after so often; their timers need no better. */
const tick: Millis = 200

/** Sessions that were idle for one to two times this let go of their long-lived ciphers. */
const coolEvery: Millis = 2_000

/** Nobody reaches such a number before the handshake is over; ours could overflow. */
const maxHelloSequence = 2 ** 40

/**
 * The cloud's end of the UDP transport (device-protocol.md 2): everything that comes to one port, and all sessions.
 *
 * Sans-IO: the owner passes on datagrams, the sender's address as text, and the time. Whatever comes in, nothing throws.
 * What is not understood or not authentic is dropped and counted in `drops`: there is no way to tell a device that its
 * session is unknown (2.7).
 */
export class DtlsListener {
  /** Datagrams and records without effect since the start, by reason. */
  readonly drops: DropCounters = newDropCounters()
  /** Since the start. */
  readonly counters = { handshakesStarted: 0, handshakesFailed: 0, established: 0, cookiesSent: 0, moved: 0 }

  readonly #options: DtlsListenerOptions
  readonly #handlers: DtlsListenerHandlers
  readonly #cookies: Cookies
  readonly #admission: Admission
  readonly #hotPool: HotPool
  readonly #knownKeys = new KnownKeys()
  readonly #sessions = new SessionTable()
  /** By address. */
  readonly #handshakes = new Map<string, ServerHandshake>()
  #nextTick: Millis | undefined
  #coolAt: Millis | undefined

  /** @throws ProtocolError `ec-key` when the key cannot serve devices */
  constructor(options: DtlsListenerOptions) {
    ecPublicKeyDer(options.serverKey)
    this.#options = options
    this.#handlers = options.handlers
    this.#cookies = new Cookies(options.random)
    this.#admission = new Admission({ ...defaultHandshakeLimits, ...options.limits })
    this.#hotPool = new HotPool(options.hotSessions ?? defaultHotSessions)
  }

  get sessionCount(): number {
    return this.#sessions.size
  }

  /** Handshakes under way. */
  get handshakeCount(): number {
    return this.#handshakes.size
  }

  sessions(): IterableIterator<DtlsSession> {
    return this.#sessions.all()
  }

  /** The session that was bound to this device. */
  sessionOf(deviceId: string): DtlsSession | undefined {
    return this.#sessions.byDevice(deviceId)
  }

  /** A datagram from an address. */
  receive(datagram: Uint8Array, address: string, now: Millis): void {
    if (datagram.length < recordHeaderSize) {
      this.#drop('short')
      return
    }
    if (this.#handshakes.size > 0) this.#handshakes.get(address)?.credit(datagram.length)
    const parsed = parseDatagram(datagram)
    if (parsed.malformed) this.#drop('malformed')
    for (const record of parsed.records) {
      if (record.cid !== undefined) this.#receiveWithCid(record, record.cid, datagram, address, now)
      else if (parsed.deviceId !== undefined) this.#receiveOfDevice(record, parsed.deviceId, datagram, address, now)
      else if (record.epoch === 0) this.#receivePlain(record, parsed, datagram.length, address, now)
      else this.#receiveByAddress(record, datagram, address, now)
    }
  }

  /** Repeats flights and gives up handshakes; lets go of what idle sessions need not hold, whenever it is called. */
  poll(now: Millis): void {
    this.#coolAt ??= now + coolEvery
    if (now >= this.#coolAt) {
      this.#coolAt = now + coolEvery
      this.#hotPool.coolIdle()
    }
    if (this.#nextTick === undefined || now < this.#nextTick) return
    this.#nextTick = this.#handshakes.size === 0 ? undefined : now + tick
    for (const handshake of [...this.#handshakes.values()]) handshake.poll(now)
  }

  /** When `poll` is to be called; undefined while no handshake is under way. */
  nextDeadline(): Millis | undefined {
    return this.#nextTick
  }

  /**
   * Sends one CoAP message to where the device was heard last. Without effect once the session has ended. While a stored
   * session waits too long to be stored again, messages are dropped and counted as `unsaved`.
   *
   * @throws ProtocolError `record-too-large` above 1152 bytes
   */
  send(session: DtlsSession, message: Uint8Array): void {
    if (!session.alive || message.length === 0) return
    if (session.exhausted) this.#drop('unsaved')
    else this.#handlers.send(session.seal(message), session.address)
  }

  /**
   * The Hello has proven which device this session belongs to. An older session of the device ends here, silently: it
   * is the same device, and it has forgotten the old one.
   *
   * @returns the session that was replaced
   */
  bind(session: DtlsSession, deviceId: string): DtlsSession | undefined {
    const previous = this.#sessions.bind(session, deviceId)
    if (previous !== undefined) this.#end(previous)
    return previous
  }

  /**
   * Takes in a session from storage. One with the same device in memory already is kept instead.
   *
   * @param stored what `DtlsSession.serialize` gave
   * @throws ProtocolError `stored-session` when it is damaged
   */
  restore(stored: Uint8Array): DtlsSession {
    const session = this.unpack(stored)
    return this.#adopt(session)
  }

  /** Like `restore`, without taking it in: for `find`, whose result is taken in. */
  unpack(stored: Uint8Array): DtlsSession {
    return DtlsSession.restore(stored, this.#hotPool)
  }

  /**
   * Ends a session.
   *
   * @param notify tell the device, which then makes a new one at once (device-protocol.md 2.9)
   */
  close(session: DtlsSession, notify: boolean): void {
    if (!session.alive) return
    if (notify && !session.exhausted) this.#handlers.send(session.sealClose(), session.address)
    this.#end(session)
  }

  #receiveWithCid(record: DtlsRecord, cid: Uint8Array, datagram: Uint8Array, address: string, now: Millis): void {
    const session = this.#sessions.byCid(cid)
    if (session !== undefined) {
      this.#receiveIn(session, record, address, now)
      return
    }
    const handshake = this.#handshakes.get(address)
    if (handshake?.cid !== undefined && Buffer.compare(handshake.cid, cid) === 0) {
      handshake.receive(record, now)
      return
    }
    const key = { kind: 'cid', cid: cid.slice(), node: cidNode(cid) } as const
    const found = this.#find(key, datagram, address, now)
    if (found !== undefined) this.#receiveIn(found, record, address, now)
    else this.#drop('unknown-cid')
  }

  #receiveOfDevice(record: DtlsRecord, deviceId: string, datagram: Uint8Array, address: string, now: Millis): void {
    const key = { kind: 'device', deviceId } as const
    const session = this.#sessions.byDevice(deviceId) ?? this.#find(key, datagram, address, now)
    if (session !== undefined) this.#receiveIn(session, record, address, now)
    else this.#drop('unknown-device')
  }

  #receiveByAddress(record: DtlsRecord, datagram: Uint8Array, address: string, now: Millis): void {
    const handshake = this.#handshakes.get(address)
    if (handshake !== undefined && record.type === contentType.handshake) {
      handshake.receive(record, now)
      return
    }
    const sessions = this.#sessions.byAddress(address)
    if (sessions.length === 0) {
      const found = this.#find({ kind: 'address', address }, datagram, address, now)
      if (found !== undefined) this.#receiveIn(found, record, address, now)
      else this.#drop('unknown-address')
      return
    }
    // Of several, the one whose keys fit; a failure of the others is no drop. A repeated record of one fails in the
    // others by its MAC, which is not why it is dropped.
    let reason: DropReason = 'mac'
    for (const session of sessions) {
      const opened = session.open(record)
      if (typeof opened !== 'string') {
        this.#take(session, opened, address, now)
        return
      }
      if (reason !== 'replay') reason = opened
    }
    this.#drop(reason)
  }

  #receiveIn(session: DtlsSession, record: DtlsRecord, address: string, now: Millis): void {
    const opened = session.open(record)
    if (typeof opened === 'string') this.#drop(opened)
    else this.#take(session, opened, address, now)
  }

  #take(session: DtlsSession, opened: OpenedRecord, address: string, now: Millis): void {
    // An older record may have been held back and sent on from elsewhere (RFC 9146 6).
    if (opened.newest && address !== session.address) this.#move(session, address)
    if (opened.type === contentType.applicationData) {
      session.settle()
      if (opened.content.length > 0) this.#handlers.message(session, opened.content, now)
    } else if (opened.type === contentType.alert) {
      this.#takeAlert(session, opened.content)
    } else if (opened.type === contentType.handshake && opened.content[0] === handshakeType.finished) {
      session.repeatHandshake(now)
    } else {
      this.#drop('content')
    }
  }

  #move(session: DtlsSession, address: string): void {
    const previous = session.address
    this.#sessions.move(session, address)
    this.counters.moved++
    this.#handlers.moved?.(session, previous)
  }

  #takeAlert(session: DtlsSession, content: Uint8Array): void {
    const alert = decodeAlert(content)
    if (alert === undefined || (!alert.fatal && alert.description !== alertNumber.close_notify)) return
    this.#end(session)
    const words = `the device ended the session: ${alertName(alert.description)}`
    this.#handlers.closed(session, new ProtocolError('alert', words))
  }

  #receivePlain(record: DtlsRecord, parsed: ParsedDatagram, size: number, address: string, now: Millis): void {
    const handshake = this.#handshakes.get(address)
    const [fragment] = record.type === contentType.handshake ? (decodeFragments(record.body) ?? []) : []
    if (fragment?.type === handshakeType.clientHello && !parsed.moved) {
      this.#receiveHello(record, fragment, size, address, now)
    } else if (handshake !== undefined) {
      handshake.receive(record, now)
    } else {
      this.#drop('handshake')
    }
  }

  /** Nothing is remembered of a hello until it is let in; one in pieces can therefore not be taken. */
  #receiveHello(record: DtlsRecord, message: HandshakeFragment, size: number, address: string, now: Millis): void {
    const hello = message.body.length === message.length ? decodeClientHello(message.body) : undefined
    if (hello === undefined || record.sequence > maxHelloSequence) {
      this.#drop('malformed')
      return
    }
    const present = this.#handshakes.get(address)
    if (present !== undefined && Buffer.compare(present.clientRandom, hello.random) === 0) {
      present.receive(record, now)
      return
    }
    const refusal = refusalOf(hello)
    if (refusal !== undefined) {
      const alert = encodePlainRecord(contentType.alert, record.sequence, encodeAlert(refusal.alert))
      this.#handlers.send(alert, address)
      this.counters.handshakesFailed++
      this.#handlers.handshakeFailed?.(address, 'hello', new ProtocolError('hello', refusal.reason))
      return
    }
    const parameters = helloParameters(message.body)
    const verified = this.#cookies.check(hello.cookie, address, parameters, now)
    if (!verified && hello.cookie.length > 0) this.#drop('cookie')
    if (!verified && (present?.verified === true || hello.cookie.length > 0 || this.#needsCookie(size, address, now))) {
      // A handshake with an address that is real does not give way to one that may be forged.
      this.#askForCookie(record.sequence, message.sequence, this.#cookies.make(address, parameters, now), address)
      return
    }
    this.#begin(hello, { ...record, body: message.body }, message, size, verified, address, now)
  }

  #needsCookie(size: number, address: string, now: Millis): boolean {
    const { needCookie, mtu = defaultHandshakeMtu } = this.#options
    // What could not be answered in full without amplification need not begin.
    if (size * amplificationFactor < largestFirstFlight || mtu < smallestWholeMtu) return true
    if (needCookie === undefined) return this.#admission.needsCookie(now)
    return needCookie(address, { handshakes: this.#handshakes.size, sessions: this.#sessions.size }, now)
  }

  /** Both numbers are those of the hello (RFC 6347 4.2.1). */
  #askForCookie(recordSequence: number, sequence: number, cookie: Uint8Array, address: string): void {
    const body = encodeHelloVerifyRequest(cookie)
    const message = encodeHandshake({ type: handshakeType.helloVerifyRequest, sequence, body })
    this.counters.cookiesSent++
    this.#handlers.send(encodePlainRecord(contentType.handshake, recordSequence, message), address)
  }

  #begin(
    hello: ClientHello,
    record: DtlsRecord,
    fragment: HandshakeFragment,
    size: number,
    verified: boolean,
    address: string,
    now: Millis,
  ): void {
    if (this.#sessions.size >= (this.#options.maxSessions ?? defaultMaxSessions)) {
      this.#drop('sessions')
      return
    }
    const present = this.#handshakes.get(address)
    if (present !== undefined) this.#leave(present, address)
    if (!this.#admission.enter(address)) {
      this.#drop('half-open')
      return
    }
    this.counters.handshakesStarted++
    this.#nextTick ??= now + tick
    const { serverKey, random, node = 0, mtu = defaultHandshakeMtu, requireClientKey = true } = this.#options
    const message = { type: fragment.type, sequence: fragment.sequence, body: record.body }
    const handshake: ServerHandshake = new ServerHandshake(
      {
        serverKey,
        random,
        mtu,
        cid: wantsConnectionId(hello) ? makeCid(node, random) : undefined,
        requireClientKey,
        hotPool: this.#hotPool,
        knownKeys: this.#knownKeys,
        handlers: {
          send: (datagram) => this.#handlers.send(datagram, address),
          dropped: (reason) => this.#drop(reason),
          established: (result, time) => this.#established(handshake, result, address, time),
          failed: (step, error) => {
            this.#leave(handshake, address)
            this.counters.handshakesFailed++
            this.#handlers.handshakeFailed?.(address, step, error)
          },
        },
      },
      { hello: { ...hello, random: hello.random.slice() }, message, recordSequence: record.sequence, size, verified },
      now,
    )
    this.#handshakes.set(address, handshake)
  }

  #established(handshake: ServerHandshake, result: ServerHandshakeResult, address: string, now: Millis): void {
    this.#leave(handshake, address)
    this.counters.established++
    const session = new DtlsSession({ ...result, address })
    this.#enter(session)
    this.#handlers.established(session, now)
  }

  #leave(handshake: ServerHandshake, address: string): void {
    handshake.close()
    if (this.#handshakes.get(address) !== handshake) return
    this.#handshakes.delete(address)
    this.#admission.leave(address)
  }

  #find(key: SessionKey, datagram: Uint8Array, address: string, now: Millis): DtlsSession | undefined {
    const found = this.#handlers.find?.(key, datagram, address, now)
    return found === undefined ? undefined : this.#adopt(found)
  }

  #adopt(session: DtlsSession): DtlsSession {
    const { deviceId } = session
    const present = deviceId === undefined ? undefined : this.#sessions.byDevice(deviceId)
    const same = present ?? (session.cid && this.#sessions.byCid(session.cid))
    if (same !== undefined) return same
    this.#enter(session)
    if (deviceId !== undefined) this.#sessions.bind(session, deviceId)
    return session
  }

  #enter(session: DtlsSession): void {
    for (const surplus of this.#sessions.add(session)) {
      surplus.end()
      this.#handlers.closed(surplus, new ProtocolError('replaced', 'newer sessions came from the same address'))
    }
  }

  #end(session: DtlsSession): void {
    this.#sessions.remove(session)
    session.end()
  }

  #drop(reason: DropReason): void {
    this.drops[reason]++
  }
}
