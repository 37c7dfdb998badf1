/**
 * One device on UDP: joins its DTLS session, which outlives addresses and processes, with the CoAP session of the time
 * that it is online.
 *
 * A new handshake begins in `handshake`, until the Hello proves who it is. A session that was found in the store begins
 * `asleep`: the first authentic message wakes it. It falls asleep again when the device says goodbye or falls silent,
 * and then leaves memory.
 */
import { platformById } from '@aloe/firmware'
import {
  CloudSession,
  type Describe,
  type DeviceEvent,
  type DtlsSession,
  decodeHello,
  decodeMessage,
  encodeEmptyAck,
  encodeHelloPayload,
  type Goodbye,
  type Hello,
  type Millis,
  ProtocolError,
  type Subscription,
} from '@aloe/protocol'
import type { Admission } from './admission.ts'
import { type ConnectionHost, DeviceConnection } from './connection.ts'
import { isConfirmable, isPing, type MessageKind, messageIdOf, messageKind } from './message-kind.ts'
import type { Storable, StoredSession } from './session-store.ts'

/** What a connection needs of the listener that holds its DTLS session. */
export interface UdpConnectionOwner {
  /** Bytes that wait to be taken by the network. */
  readonly queued: number
  transmit(connection: UdpConnection, message: Uint8Array): void
  /** The Hello proved which device this is: its older session ends. */
  bind(connection: UdpConnection): void
  /** Something has changed that the device will not say again. @param committed called when it is durable */
  save(connection: UdpConnection, committed?: () => void): void
  /** Only sequence numbers have changed. */
  touch(connection: UdpConnection): void
  /** The device is offline: the session goes to the store and out of memory. */
  putAway(connection: UdpConnection): void
  /** The session is void. @param notify tell the device, which then makes a new one */
  end(connection: UdpConnection, notify: boolean): void
  /** A message was left out. */
  dropped(reason: UdpDropReason): void
  unixMillis(): number
  /** Unix seconds; one function for all connections. */
  readonly unixTime: () => number
}

export type UdpDropReason =
  /** Something else than a Hello came first. */
  | 'before-hello'
  /** A Hello that cannot be read. */
  | 'bad-hello'
  /** More waits for the store to confirm than may. */
  | 'held'
  /** No sequence number may be used before the store has noted it. */
  | 'sequence'

/** A device that finished its handshake must say Hello within this time: it repeats it for 60 s (device-protocol.md 2.10). */
const helloTimeout: Millis = 60_000
/** How long a device that may be asleep, or gone, is looked for. */
const rouseTimeout: Millis = 30_000
/** Messages of a device that left may still be on their way for so long. */
const stragglerTime: Millis = 60_000
/** Messages that may wait for the store, of one device. */
const maxHeld = 64
/** Record numbers that the store keeps for a session. Less than 65536, so that message ids after a restart are new. */
const sequenceReserve = 16_384

export class UdpConnection extends DeviceConnection implements Storable {
  readonly dtls: DtlsSession

  readonly #owner: UdpConnectionOwner
  readonly #began: Millis
  #helloReceived: Hello | undefined
  #subscriptions: readonly Subscription[] = []
  /** Message id of the Hello that counts, so that its repetition does not begin a new connection. */
  #helloId: number | undefined
  #deciding = false
  #keptUntil = Number.POSITIVE_INFINITY
  /** The last datagram said that its sender had just resumed. */
  #marked = false
  /** Unix milliseconds of its goodbye, until it is back. */
  #leftAt: number | undefined
  #out: Uint8Array[] | undefined
  /** Record numbers from here on are not reserved in the store yet, or not durably. */
  #durableLimit = Number.POSITIVE_INFINITY
  #reservedLimit = Number.POSITIVE_INFINITY
  /** It will not send any more: the store need not keep numbers for it. */
  #final = false
  /** What may go out only when the store has confirmed. */
  #held: Uint8Array[] | undefined
  #unconfirmed = 0
  /** Something was said that will not be said again. */
  #critical = false

  constructor(host: ConnectionHost, owner: UdpConnectionOwner, dtls: DtlsSession) {
    const { host: address, port } = splitAddress(dtls.address)
    super(host, address, port)
    this.#owner = owner
    this.dtls = dtls
    this.#began = this.lastReceived
  }

  /** Takes up what the store knows of the session. @param keptUntil it leaves memory if nothing authentic comes */
  resume(stored: StoredSession, keptUntil: Millis): void {
    this.#keptUntil = keptUntil
    this.host.schedule(this, keptUntil)
    this.deviceId = stored.deviceId
    this.#helloReceived = decodeHello(stored.hello)
    this.#subscriptions = stored.subscriptions
    this.safeMode = stored.safeMode
    this.systemDescribed = stored.described
    if (stored.left) this.#leftAt = stored.usedAt
    this.stage = 'asleep'
    // This life's record numbers must be reserved before any is used.
    this.#confirm()
  }

  snapshot(): StoredSession | undefined {
    if (!this.#helloReceived || !this.dtls.alive) return undefined
    const reserve = this.#final ? 0 : sequenceReserve
    this.#reservedLimit = this.dtls.sendSequence + reserve
    return {
      deviceId: this.deviceId,
      connectionId: connectionIdOf(this.dtls),
      address: this.dtls.address,
      secrets: this.dtls.serialize(reserve),
      hello: encodeHelloPayload(this.#helloReceived),
      subscriptions: this.session?.subscriptions ?? this.#subscriptions,
      safeMode: this.safeMode,
      described: this.systemDescribed,
      online: this.session !== undefined && this.#leftAt === undefined,
      left: this.#leftAt !== undefined,
      usedAt: this.#owner.unixMillis(),
    }
  }

  stored(): void {
    this.#durableLimit = this.#reservedLimit
  }

  /** The process ends: the next one goes on exactly here. */
  finish(): void {
    this.#final = true
    this.#owner.save(this)
  }

  override congested(): boolean {
    return this.#owner.queued > this.host.limits.writeQueue
  }

  /** An authentic message has come. @param marked its datagram says that the device has just resumed the session */
  received(message: Uint8Array, marked: boolean, now: Millis): void {
    if (this.stage === 'closed') return
    this.lastReceived = now
    const kind = messageKind(message)
    if (kind === 'hello' && !this.#isRepeatedHello(message)) {
      this.#marked = marked
      this.#helloCame(message, now)
      return
    }
    if (this.stage === 'handshake') {
      if (kind !== 'hello') this.#owner.dropped('before-hello')
      return
    }
    if (this.stage === 'asleep' && this.#isStraggler(message, kind, marked)) {
      this.#takeStraggler(message, now)
      return
    }
    if (this.stage === 'asleep' && !this.#wakes(message, kind, marked, now)) return
    if (marked && !this.#marked && this.stage === 'online') this.#reconnected(now)
    this.#marked = marked
    this.#pass(message, now)
    if (this.stage === 'online') this.host.heard(this)
  }

  /** The session's address has changed, by an authentic datagram. */
  moved(): void {
    const { host, port } = splitAddress(this.dtls.address)
    this.address = host
    this.port = port
  }

  override timeCame(now: Millis): void {
    if (this.stage === 'handshake') {
      if (now - this.#began < helloTimeout) this.reschedule()
      else this.#refuse('hello', 'the device did not say Hello')
      return
    }
    if (this.stage === 'asleep' && !this.session) {
      // Found in the store, and then nothing authentic came.
      if (now >= this.#keptUntil) this.#owner.putAway(this)
      return
    }
    this.session?.poll(now)
    this.reschedule()
  }

  override reschedule(): void {
    if (this.stage === 'closed') return
    const next = this.session?.nextDeadline() ?? (this.stage === 'handshake' ? this.#began + helloTimeout : undefined)
    if (next !== undefined) this.host.schedule(this, next)
  }

  // Hello.

  #isRepeatedHello(message: Uint8Array): boolean {
    return this.session !== undefined && messageIdOf(message) === this.#helloId
  }

  #helloCame(message: Uint8Array, now: Millis): void {
    // The device repeats it; one decision at a time.
    if (this.#deciding) return
    let hello: Hello
    try {
      hello = decodeHello(decodeMessage(message).payload)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#owner.dropped('bad-hello')
      return
    }
    if (hello.deviceId === undefined || !/^[0-9a-f]{24}$/.test(hello.deviceId)) {
      this.#refuse('hello', 'the Hello names no device')
      return
    }
    if (this.stage !== 'handshake' && hello.deviceId !== this.deviceId) {
      this.#refuse('hello', `the Hello of a session of ${this.deviceId} names another device: ${hello.deviceId}`)
      return
    }
    if (this.stage === 'handshake') this.deviceId = hello.deviceId
    const admission = this.host.admit(hello.deviceId, this.dtls.publicKey, 'ecc')
    if (!(admission instanceof Promise)) {
      this.#decided(admission, hello, message, now)
      return
    }
    this.#deciding = true
    admission.then(
      (decided) => {
        this.#deciding = false
        if (this.stage !== 'closed') this.#decided(decided, hello, message, this.host.now())
      },
      (error: unknown) => {
        this.#deciding = false
        this.#refuse('key', `the cloud could not decide: ${String(error)}`)
      },
    )
  }

  #decided(admission: Admission, hello: Hello, message: Uint8Array, now: Millis): void {
    if (!admission.ok) {
      this.#refuse(admission.step, admission.reason)
      return
    }
    this.enrolled = admission.enrolled
    this.#helloId = messageIdOf(message)
    // A device that says Hello again has restarted, or is another one in what it can do.
    this.#leave('the device connected again')
    this.renew()
    this.#leftAt = undefined
    this.#helloReceived = hello
    this.#subscriptions = []
    this.#owner.bind(this)
    this.#begin(hello, undefined, now)
    this.#critical = true
    this.#pass(message, now)
    this.host.heard(this)
  }

  override hello(hello: Hello): void {
    this.stage = 'online'
    this.host.online(this, hello)
  }

  /** A session whose message ids follow on those of the one before: every message takes at least one record number. */
  #begin(hello: Hello, subscriptions: readonly Subscription[] | undefined, now: Millis): CloudSession {
    const session = new CloudSession({
      transport: 'udp',
      random: this.host.random,
      unixTime: this.#owner.unixTime,
      firstMessageId: this.dtls.sendSequence & 0xffff,
      handlers: this,
      now,
      ping: this.host.limits.udpPing[platformById(hello.platformId)?.connectivity ?? 'cellular'],
      ...(subscriptions && { resume: { hello, subscriptions } }),
    })
    this.session = session
    return session
  }

  // Going on without Hello.

  /** True when the device is awake now, and the message is to be passed on. */
  #wakes(message: Uint8Array, kind: 'hello' | 'goodbye' | 'answer' | 'other', marked: boolean, now: Millis): boolean {
    if (kind === 'goodbye' || kind === 'answer') {
      // Its acknowledgement was lost, or this is a late answer: the device is about to sleep, not to wake up.
      if (kind === 'goodbye' && isConfirmable(message)) this.send(encodeEmptyAck(messageIdOf(message)))
      if (this.session) return true
      this.#store()
      return false
    }
    this.#goOn(marked, now)
    return true
  }

  /**
   * Sent before the goodbye, and overtaken by it: the device is no more there for that. One that is back says so by the
   * mark of its datagrams or, where its Device OS marks none, by a ping (device-protocol.md 2.6.2, 2.6.4).
   */
  #isStraggler(message: Uint8Array, kind: MessageKind, marked: boolean): boolean {
    if (this.#leftAt === undefined || marked || kind !== 'other' || isPing(message)) return false
    return this.#owner.unixMillis() - this.#leftAt < stragglerTime
  }

  /** What it says counts all the same. */
  #takeStraggler(message: Uint8Array, now: Millis): void {
    const hello = this.#helloReceived
    if (!hello) return
    const session = this.session ?? this.#begin(hello, this.#subscriptions, now)
    this.#pass(message, now)
    this.#subscriptions = session.subscriptions
    session.close()
    this.session = undefined
    this.#store()
  }

  /** Looks whether the device is there: it was when the last process ended, and may wait for us to speak. */
  rouse(now: Millis): void {
    if (this.stage !== 'asleep' || this.session || !this.#helloReceived) return
    const session = this.#begin(this.#helloReceived, this.#subscriptions, now)
    session.ping(now, rouseTimeout, (result) => {
      if (this.stage !== 'asleep') return
      if (result.ok) {
        this.#goOn(false, this.host.now())
        return
      }
      session.close()
      this.session = undefined
      this.#store()
    })
    this.#keptUntil = Number.POSITIVE_INFINITY
    this.reschedule()
  }

  /** The device has resumed, which it does at each connect: what was under way in the last connection is not any more. */
  #reconnected(now: Millis): void {
    this.#leave('the device connected again')
    this.#goOn(true, now)
  }

  #goOn(restarted: boolean, now: Millis): void {
    const hello = this.#helloReceived
    if (!hello) return
    this.#leftAt = undefined
    const { safeMode, systemDescribed } = this
    this.renew()
    this.systemDescribed = systemDescribed
    // A device that resumed says again that it is in safe mode (device-protocol.md 3.4.3).
    this.safeMode = safeMode && !restarted
    this.#marked = restarted
    if (!this.session) this.#begin(hello, this.#subscriptions, now)
    this.stage = 'online'
    this.host.resumed(this, hello)
  }

  // The session's side.

  override send(message: Uint8Array): void {
    if (this.stage === 'closed') return
    if (this.#out) this.#out.push(message)
    else this.#emit(message)
  }

  /** Passes a message on; what it makes us say waits for the store if the device will not say this again. */
  #pass(message: Uint8Array, now: Millis): void {
    const { safeMode } = this
    const out: Uint8Array[] = []
    this.#out = out
    this.session?.receive(message, now)
    this.#out = undefined
    if (this.#critical || safeMode !== this.safeMode) this.#confirm()
    else this.#owner.touch(this)
    for (const answer of out) this.#emit(answer)
    if (this.goodbyeReason && this.stage === 'online') {
      this.#leftAt = this.#owner.unixMillis()
      this.#sleep('the device said goodbye')
    }
    this.reschedule()
  }

  #confirm(): void {
    this.#critical = false
    this.#held ??= []
    this.#unconfirmed++
    this.#owner.save(this, () => {
      this.#unconfirmed--
      if (this.#unconfirmed > 0) return
      const held = this.#held ?? []
      this.#held = undefined
      for (const message of held) this.#emit(message)
    })
  }

  #emit(message: Uint8Array): void {
    if (this.#held) {
      if (this.#held.length < maxHeld) this.#held.push(message)
      else this.#owner.dropped('held')
    } else if (this.dtls.sendSequence >= this.#durableLimit) this.#owner.dropped('sequence')
    else if (this.dtls.alive) this.#owner.transmit(this, message)
  }

  override describe(report: Describe): void {
    if (report.kind !== 'metrics') this.#critical = true
    if (this.stage === 'online' || this.stage === 'asleep') this.host.described(this, report)
  }

  override event(event: DeviceEvent): void {
    if (this.stage === 'online' || this.stage === 'asleep') this.host.event(this, event)
  }

  override subscribe(subscription: Subscription): void {
    this.#critical = true
    super.subscribe(subscription)
  }

  override goodbye(goodbye: Goodbye): void {
    this.#critical = true
    super.goodbye(goodbye)
  }

  /** Above the channel it cannot go on: the device fell silent. Its DTLS session goes on whenever it does. */
  override closed(error: ProtocolError): void {
    this.#sleep(error.message)
  }

  // The end.

  #leave(reason: string): void {
    if (!this.session) return
    this.#subscriptions = this.session.subscriptions
    this.host.offline(this, reason)
    this.session.close()
    this.session = undefined
  }

  #sleep(reason: string): void {
    if (this.stage !== 'online') return
    this.#leave(reason)
    this.stage = 'asleep'
    this.#store()
  }

  /** In the store first, then out of memory: until then late datagrams find it there. */
  #store(): void {
    this.#keptUntil = Number.POSITIVE_INFINITY
    this.#owner.save(this, () => {
      if (this.stage === 'asleep') this.#owner.putAway(this)
    })
  }

  #refuse(step: string, reason: string): void {
    this.refused(step, reason)
    this.#owner.end(this, true)
  }

  /** Offline, for a reason of the cloud's; the DTLS session stays. */
  override close(reason: string): void {
    this.#sleep(reason)
  }

  /** For the listener: the DTLS session has ended, or goes to the store. */
  released(reason: string): void {
    if (this.stage === 'closed') return
    this.#leave(reason)
    this.stage = 'closed'
    this.session?.close()
    this.session = undefined
    this.host.unschedule(this)
  }
}

/** 16 hex digits; undefined for devices before Device OS 3.1. */
export function connectionIdOf({ cid }: DtlsSession): string | undefined {
  return cid && Buffer.from(cid.buffer, cid.byteOffset, cid.length).toString('hex')
}

/** `host:port`, where the host may have colons itself. */
export function splitAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) }
}
