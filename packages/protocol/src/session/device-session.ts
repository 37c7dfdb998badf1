/**
 * The device's end of its connection, above the channel, in the dialect of Device OS 6.2 (device-protocol.md 3, 8.2).
 *
 * A pure state machine: messages and the time go in, messages come out through `handlers.send`.
 */
import { decodeMessage, encodePing } from '../coap/codec.ts'
import { deviceExchangeLifetime } from '../coap/deduplication.ts'
import { type CoapMessage, coapType, code, codeName, isErrorCode, noBytes } from '../coap/message.ts'
import { pathLetter } from '../coap/options.ts'
import { deviceLimits } from '../coap/retransmission.ts'
import { encodeResponse, type Head, tokenByte, tokenOf } from '../messages/build.ts'
import type { DescribeKind } from '../messages/describe.ts'
import { decodeEvent, encodeEventPublish } from '../messages/event.ts'
import { decodeFunctionCall, encodeFunctionReturn, queryByte } from '../messages/function.ts'
import { encodeGoodbye, type Goodbye } from '../messages/goodbye.ts'
import { encodeHello } from '../messages/hello.ts'
import { encodeSubscribe, type SubscriptionFormat } from '../messages/subscription.ts'
import { deviceSystemEvent, isSystemEvent } from '../messages/system-events.ts'
import { decodeTimeResponse, encodeTimeRequest } from '../messages/time.ts'
import { decodeVariableRequest, encodeVariableResponse, type VariableValue } from '../messages/variable.ts'
import { ProtocolError } from '../protocol-error.ts'
import type { Millis } from '../time.ts'
import { DeviceDescribes } from './device-describes.ts'
import {
  type Announcement,
  type ApplicationParts,
  type DeviceSessionHandlers,
  type DeviceSessionOptions,
  defaultDeviceMessageSize,
  defaultDevicePing,
  type PublishOptions,
  publishAckTimeout,
  serverHelloTimeout,
} from './device-options.ts'
import { type DeviceUpdates, deviceUpdates } from './device-updates.ts'
import { earliest } from './earliest.ts'
import { type Acknowledgement, MessageLayer } from './message-layer.ts'
import { Pinger } from './pinger.ts'
import { Requests } from './requests.ts'
import { type RequestResult, refused, sessionClosed, timedOut } from './result.ts'
import { SessionLink } from './session-link.ts'
import { uniform } from './uniform.ts'

/** More publishes than this waiting for their acknowledgement are refused. */
const maxUnacknowledged = 64

type State = 'new' | 'hello' | 'resumed' | 'ready' | 'closed'

export class DeviceSession {
  readonly #options: DeviceSessionOptions
  readonly #handlers: DeviceSessionHandlers
  readonly #layer: MessageLayer
  /** Only its tokens are used: one counter for time, describes and ledger requests (device-protocol.md 3.1). */
  readonly #tokens: Requests
  readonly #describes: DeviceDescribes
  readonly #updates: DeviceUpdates | undefined
  readonly #pinger: Pinger
  readonly #maxMessageSize: number
  #state: State = 'new'
  #helloDeadline: Millis | undefined
  #timePending = false
  #updating = false
  #now: Millis = 0

  constructor(options: DeviceSessionOptions) {
    const { transport, random, handlers } = options
    this.#options = options
    this.#handlers = handlers
    this.#maxMessageSize = options.maxMessageSize ?? defaultDeviceMessageSize[transport]
    this.#layer = new MessageLayer({
      transport,
      firstMessageId: options.firstMessageId,
      random: uniform(random),
      handlers,
      limits: deviceLimits,
      exchangeLifetime: deviceExchangeLifetime,
    })
    this.#tokens = new Requests(random(1)[0] ?? 0)
    this.#describes = new DeviceDescribes({
      layer: this.#layer,
      maxMessageSize: this.#maxMessageSize,
      nextToken: () => this.#tokens.nextToken(),
      payload: (kind) => handlers.describe(kind),
      ...(handlers.describeAll && { combined: () => handlers.describeAll?.() ?? noBytes }),
    })
    const link = new SessionLink(this.#layer, this.#tokens, this.#maxMessageSize, () => false)
    this.#updates =
      options.updateTarget &&
      deviceUpdates(options.hello.flags, link, options.updateTarget, {
        updating: (active) => this.#updatingChanged(active),
        failed: (error) => this.#end(error),
      })
    this.#pinger = new Pinger(options.ping ?? defaultDevicePing[transport], 0)
  }

  /** True while an update runs. */
  get updating(): boolean {
    return this.#updating
  }

  /** True once the cloud has answered the Hello. */
  get ready(): boolean {
    return this.#state === 'ready'
  }

  /** Confirmable messages without acknowledgement: over UDP a device counts as connected at 0 (device-protocol.md 3.4.1). */
  get unacknowledged(): number {
    return this.#layer.outstanding
  }

  /** The id that the next message gets: a later session of this device goes on behind it (device-protocol.md 3.3). */
  get nextMessageId(): number {
    return this.#layer.upcomingId
  }

  /**
   * Goes on, over UDP, in a session in which the cloud knows all that a Hello would say: sends a ping instead
   * (device-protocol.md 2.6.4). `ready` is told with the first message of the cloud, whatever it is; without any the
   * session ends with `ping-timeout`, as whenever the cloud falls silent.
   */
  resume(now: Millis): void {
    if (this.#state !== 'new') return
    this.#now = now
    this.#state = 'resumed'
    this.#pinger.pinged(now)
    this.#sendPing(now)
  }

  /** Sends Hello. */
  start(now: Millis): void {
    if (this.#state !== 'new') return
    this.#now = now
    this.#state = 'hello'
    this.#pinger.heard(now)
    const id = this.#layer.nextId()
    if (this.#options.transport === 'tcp') {
      this.#helloDeadline = now + serverHelloTimeout
      this.#layer.send(encodeHello(coapType.non, id, this.#options.hello))
      return
    }
    this.#layer.sendConfirmable(id, encodeHello(coapType.con, id, this.#options.hello), now, (acknowledgement) => {
      if (acknowledgement.kind !== 'acknowledged') return
      if (!isErrorCode(acknowledgement.code)) this.#becomeReady()
      else
        this.#end(new ProtocolError('hello-refused', `the cloud refused the Hello (${codeName(acknowledgement.code)})`))
    })
  }

  /** Takes one CoAP message from the channel. */
  receive(bytes: Uint8Array, now: Millis): void {
    if (this.#state === 'closed') return
    this.#now = now
    this.#pinger.heard(now)
    let message: CoapMessage
    try {
      message = decodeMessage(bytes)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      if (this.#options.transport === 'tcp') this.#end(error)
      return
    }
    if (this.#state === 'resumed' && message.type !== coapType.rst) this.#becomeReady()
    if (message.type === coapType.ack) {
      this.#layer.acknowledge(message.id, message.code)
      if (!this.#updates?.receive(message, now)) this.#time(message)
    } else if (message.type === coapType.rst) this.#reset(message)
    else if (this.#state !== 'ready' && this.#options.transport === 'udp') return
    else if (message.type === coapType.con && !this.#layer.receive(message.id, now)) return
    else if (message.code === code.empty) {
      if (message.type === coapType.con) this.#layer.answerEmpty(message.id)
    } else if (!this.#updates?.receive(message, now) && !this.#time(message)) this.#request(message, now)
  }

  /** Does what is due: retransmissions, timeouts, pings. */
  poll(now: Millis): void {
    if (this.#state === 'closed' || this.#state === 'new') return
    this.#now = now
    const gaveUp = this.#layer.poll(now)
    if (gaveUp.length > 0) {
      this.#end(new ProtocolError('message-timeout', 'the cloud did not acknowledge a message'))
      return
    }
    if (this.#state === 'hello') {
      if (this.#helloDeadline !== undefined && this.#helloDeadline <= now) {
        this.#end(new ProtocolError('message-timeout', 'the cloud did not answer the Hello'))
      }
      return
    }
    this.#updates?.poll(now)
    // While an update runs no pings are sent (device-protocol.md 3.6): its transfer watches the time.
    if (this.#updating || (this.#state !== 'ready' && this.#state !== 'resumed')) return
    const due = this.#pinger.poll(now)
    if (due === 'ping') this.ping(now)
    else if (due === 'gone') this.#end(new ProtocolError('ping-timeout', 'the cloud fell silent'))
  }

  /** When `poll` is next needed. */
  nextDeadline(): Millis | undefined {
    if (this.#state === 'closed' || this.#state === 'new') return undefined
    const ping = this.#state === 'hello' || this.#updating ? this.#helloDeadline : this.#pinger.deadline
    return earliest(ping, this.#layer.nextDeadline(), this.#updates?.nextDeadline())
  }

  /** Ends the session without a word: all who wait are told. */
  close(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#layer.close()
    this.#updates?.disconnected()
  }

  /** Says what a device says after its Hello, in its order (device-protocol.md 3.4.1). */
  announce(announcement: Announcement, now: Millis): void {
    const { taken } = announcement
    if (announcement.system ?? true) {
      this.postDescribe('system', this.#handlers.describe('system'), now, (ok) => ok && taken?.('system'))
    }
    if (announcement.claimCode) this.#systemEvent(deviceSystemEvent.claimCode, announcement.claimCode, now)
    if (announcement.time ?? true) this.requestTime(now)
    if (announcement.safeMode) this.#systemEvent(deviceSystemEvent.safeMode, '', now)
    if (announcement.lastReset) this.#systemEvent(deviceSystemEvent.lastReset, announcement.lastReset, now)
    if (announcement.updatesEnabled !== undefined) {
      this.#systemEvent(deviceSystemEvent.updatesEnabled, String(announcement.updatesEnabled), now)
    }
    if (announcement.updatesForced !== undefined) {
      this.#systemEvent(deviceSystemEvent.updatesForced, String(announcement.updatesForced), now)
    }
    if (announcement.application ?? true) this.announceApplication(announcement.subscriptions ?? [], now, announcement)
  }

  /** The application's part of the announcement: its describe, then all subscriptions. */
  announceApplication(
    subscriptions: NonNullable<Announcement['subscriptions']>,
    now: Millis,
    { describe = true, subscribe = true, taken }: ApplicationParts = {},
  ): void {
    if (describe) {
      this.postDescribe(
        'application',
        this.#handlers.describe('application'),
        now,
        (ok) => ok && taken?.('application'),
      )
    }
    if (!subscribe) return
    const all = [{ prefix: 'particle' }, { prefix: 'spark' }, ...subscriptions]
    let missing = all.length
    for (const { prefix, ...options } of all) {
      this.subscribe(prefix, options, now, (ok) => {
        if (ok) missing -= 1
        if (missing === 0) taken?.('subscriptions')
      })
    }
  }

  /** Posts a describe, in blocks if need be. `done` is told whether the cloud took it. */
  postDescribe(kind: DescribeKind, payload: Uint8Array, now: Millis, done?: (acknowledged: boolean) => void): void {
    this.#now = now
    if (this.#state !== 'ready') {
      done?.(false)
      return
    }
    this.#describes.post(kind, payload, () => this.#now, done)
  }

  /** Posts vitals, as `Particle.publishVitals` does. @param payload of `encodeVitals` */
  publishVitals(payload: Uint8Array, now: Millis, done?: (acknowledged: boolean) => void): void {
    this.postDescribe('metrics', payload, now, done)
  }

  /**
   * Publishes an event. With `done` or `ack: 'with'` it is confirmable, and `done` is told of its acknowledgement, or
   * after 20 s of its failure.
   *
   * @returns false when it was not sent: not connected, too large, an update runs, or too many are unacknowledged
   */
  publish(event: PublishOptions, now: Millis, done?: (result: RequestResult<undefined>) => void): boolean {
    this.#now = now
    const fail = (result: RequestResult<undefined>): boolean => {
      done?.(result)
      return false
    }
    if (this.#state !== 'ready') return fail(sessionClosed)
    if (this.#updating && !isSystemEvent(event.name)) return fail(refused('an update is running'))
    if (this.#layer.outstanding >= maxUnacknowledged) return fail(refused('too many events are unacknowledged'))
    const udp = this.#options.transport === 'udp'
    const confirmable = event.ack === 'without' ? false : event.ack === 'with' || done !== undefined || udp
    const head: Head = { type: confirmable ? coapType.con : coapType.non, id: this.#layer.nextId(), token: noBytes }
    const message = encodeEventPublish(head, event)
    if (message.length > this.#maxMessageSize) return fail(refused('the event is too large'))
    if (!confirmable) {
      this.#layer.send(message)
      done?.({ ok: true, value: undefined })
      return true
    }
    const ended = done && ((acknowledgement: Acknowledgement) => done(resultOfAck(acknowledgement)))
    this.#layer.sendConfirmable(head.id, message, now, ended, publishAckTimeout)
    return true
  }

  /**
   * Subscribes to events whose names begin with the prefix. NON over TCP, CON over UDP, as 6.2 has it.
   *
   * @param done told over UDP, where there are acknowledgements, whether the cloud took it
   */
  subscribe(
    prefix: string,
    options: { readonly format?: SubscriptionFormat },
    now: Millis,
    done?: (taken: boolean) => void,
  ): void {
    this.#now = now
    this.#sendPlain((head) => encodeSubscribe(head, prefix, options.format), done)
  }

  /** Asks for the time, unless an answer is still awaited: a device never asks twice (device-protocol.md 3.7). */
  requestTime(now: Millis): void {
    this.#now = now
    if (this.#timePending || this.#state !== 'ready') return
    this.#timePending = true
    const head = { type: coapType.con, id: this.#layer.nextId(), token: tokenOf(this.#tokens.nextToken()) }
    this.#layer.sendConfirmable(head.id, encodeTimeRequest(head), now)
  }

  /** Says Goodbye. Over UDP the owner may wait until `unacknowledged` is 0 before it closes the channel. */
  goodbye(goodbye: Goodbye, now: Millis): void {
    this.#now = now
    if (this.#state !== 'ready') return
    const { transport } = this.#options
    const id = this.#layer.nextId()
    const message = encodeGoodbye(transport, id, goodbye)
    if (transport === 'tcp') this.#layer.send(message)
    else this.#layer.sendConfirmable(id, message, now)
  }

  /** Pings the cloud; anything that is received then counts as the answer. */
  ping(now: Millis): void {
    this.#now = now
    if (this.#state === 'ready' || this.#state === 'resumed') this.#sendPing(now)
  }

  /** Changes the keep-alive interval, as `Particle.keepAlive` does. */
  keepAlive(interval: Millis): void {
    this.#pinger.interval = interval
  }

  #request(message: CoapMessage, now: Millis): void {
    const letter = pathLetter(message)
    try {
      if (message.code === code.post) this.#post(message, letter)
      else if (message.code === code.get && letter === 'v') this.#variable(message)
      else if (message.code === code.get && letter === 'd') this.#describes.answer(message, now)
      else if (message.code === code.put && letter === 's') this.#signal(message)
      else if (message.code === code.put && letter === 'k') this.#keyChange(message)
      // Anything else gets no reaction at all, not even an acknowledgement (device-protocol.md 3.17).
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#answer(message, code.badRequest)
    }
  }

  #post(message: CoapMessage, letter: string): void {
    if (letter === 'h') {
      if (message.type === coapType.con) this.#layer.answerEmpty(message.id)
      if (this.#state === 'hello') this.#becomeReady()
    } else if (letter === 'E' || letter === 'e') {
      const event = decodeEvent(message)
      // Over TCP a device acknowledges no event, not even a confirmable one (device-protocol.md 3.2).
      if (message.type === coapType.con && !this.#layer.reliable) this.#layer.answerEmpty(message.id)
      this.#handlers.event(event.name, event.data, event.contentType)
    } else if (letter === 'f') this.#call(message)
    else if (letter === 'M') this.#answer(message, code.notImplemented)
  }

  #call(message: CoapMessage): void {
    const call = decodeFunctionCall(message)
    const token = tokenByte(message)
    if (!call || token === undefined) {
      this.#answer(message, code.badRequest)
      return
    }
    this.#layer.answerEmpty(message.id)
    let replied = false
    // False: an unknown function gets no answer beyond the acknowledgement (device-protocol.md 3.12).
    this.#handlers.call(call.name, call.argument, (value) => {
      if (replied) return
      replied = true
      this.#sendPlain((head) => encodeFunctionReturn({ ...head, token: tokenOf(token) }, value))
    })
  }

  #variable(message: CoapMessage): void {
    const name = decodeVariableRequest(message)
    const token = tokenByte(message)
    if (!name || token === undefined) {
      this.#answer(message, code.badRequest)
      return
    }
    this.#layer.answerEmpty(message.id)
    let replied = false
    const reply = (value: VariableValue | undefined) => {
      if (replied) return
      replied = true
      this.#sendPlain((plain) => {
        const head = { ...plain, token: tokenOf(token) }
        return value ? encodeVariableResponse(head, value) : encodeResponse(head, code.notFound)
      })
    }
    const value = this.#handlers.variable(name, reply)
    if (value === undefined || !('later' in value)) reply(value)
  }

  #signal(message: CoapMessage): void {
    this.#handlers.signal(queryByte(message) === 1)
    this.#answer(message, code.changed)
  }

  #keyChange(message: CoapMessage): void {
    if (queryByte(message) !== 1) return
    if (message.type === coapType.con) this.#layer.answerEmpty(message.id)
    this.#handlers.keyChange?.()
    if (this.#options.transport === 'udp') {
      this.#end(new ProtocolError('discard-session', 'the cloud wants a new session'))
    }
  }

  /** Devices take any message with code 2.05 for the time (device-protocol.md 3.1); ours asks for four bytes too. */
  #time(message: CoapMessage): boolean {
    if (message.code !== code.content) return false
    const time = decodeTimeResponse(message)
    if (time === undefined) return true
    this.#timePending = false
    this.#handlers.time(time)
    return true
  }

  /** Over UDP a reset of whatever id ends the session; over TCP it is ignored (device-protocol.md 2.10). */
  #reset(message: CoapMessage): void {
    if (this.#options.transport === 'tcp') return
    this.#layer.reset(message.id)
    this.#end(new ProtocolError('message-reset', 'the cloud reset the session'))
  }

  #sendPing(now: Millis): void {
    const id = this.#layer.nextId()
    this.#layer.sendConfirmable(id, encodePing(id), now)
  }

  #becomeReady(): void {
    if (this.#state !== 'hello' && this.#state !== 'resumed') return
    this.#state = 'ready'
    this.#helloDeadline = undefined
    this.#handlers.ready()
  }

  #updatingChanged(active: boolean): void {
    this.#updating = active
    this.#pinger.heard(this.#now)
    this.#handlers.updating?.(active)
  }

  #systemEvent(name: string, data: string, now: Millis): void {
    this.publish({ name, data: Buffer.from(data, 'utf8') }, now)
  }

  /** Piggybacked answer with the request's token. */
  #answer(message: CoapMessage, answer: number): void {
    if (message.type !== coapType.con) return
    const head = { type: coapType.ack, id: message.id, token: message.token }
    this.#layer.answer(message.id, encodeResponse(head, answer))
  }

  /** Subscriptions and separate responses: NON over TCP, CON over UDP (device-protocol.md 3.2). */
  #sendPlain(encode: (head: Head) => Uint8Array, done?: (taken: boolean) => void): void {
    if (this.#state !== 'ready') return
    const id = this.#layer.nextId()
    const udp = this.#options.transport === 'udp'
    const message = encode({ type: udp ? coapType.con : coapType.non, id, token: noBytes })
    const ended = done && ((acknowledgement: Acknowledgement) => done(resultOfAck(acknowledgement).ok))
    if (udp) this.#layer.sendConfirmable(id, message, this.#now, ended)
    else this.#layer.send(message)
  }

  #end(error: ProtocolError): void {
    this.close()
    this.#handlers.closed(error)
  }
}

function resultOfAck(acknowledgement: Acknowledgement): RequestResult<undefined> {
  switch (acknowledgement.kind) {
    case 'acknowledged':
      if (!isErrorCode(acknowledgement.code)) return { ok: true, value: undefined }
      return { ok: false, error: 'refused', code: acknowledgement.code, message: 'the cloud refused the event' }
    case 'reset':
      return refused('the cloud reset the session')
    case 'given-up':
      return timedOut
    case 'closed':
      return sessionClosed
  }
}
