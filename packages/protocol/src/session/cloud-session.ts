/**
 * The cloud's end of a device's connection, above the channel: it understands devices of any Device OS from 0.6 to
 * 6.2 and decides by what they say in Hello, never by version (device-protocol.md 3, 8.1).
 *
 * A pure state machine: messages and the time go in, messages come out through `handlers.send`.
 */
import { decodeMessage, encodePing } from '../coap/codec.ts'
import { exchangeLifetime } from '../coap/deduplication.ts'
import { type CoapMessage, coapType, code, isRequestCode, noBytes } from '../coap/message.ts'
import { pathLetter } from '../coap/options.ts'
import { rfcLimits } from '../coap/retransmission.ts'
import { encodeResponse, type Head, tokenByte, tokenOf } from '../messages/build.ts'
import { encodeKeyChange, encodeSignal } from '../messages/control.ts'
import type { Describe, DescribeKind } from '../messages/describe.ts'
import { decodeEvent, type EventFields, encodeEventDelivery, isEventPublish } from '../messages/event.ts'
import { decodeFunctionReturn, encodeFunctionCall } from '../messages/function.ts'
import { decodeGoodbye } from '../messages/goodbye.ts'
import { decodeHello, encodeServerHello, type Hello, helloFlag, maxMessageSizeOf } from '../messages/hello.ts'
import { decodeSubscribe, type Subscription } from '../messages/subscription.ts'
import { encodeTimeResponse } from '../messages/time.ts'
import { encodeVariableRequest } from '../messages/variable.ts'
import { ProtocolError } from '../protocol-error.ts'
import type { Millis } from '../time.ts'
import type { SenderHandlers } from '../transfer/transfer.ts'
import { CloudDescribes } from './cloud-describes.ts'
import {
  type CloudSessionHandlers,
  type CloudSessionOptions,
  defaultHelloTimeout,
  defaultMaxSubscriptions,
  defaultPing,
} from './cloud-options.ts'
import { CloudUpdates, type UpdateHandle, type UpdateOptions } from './cloud-updates.ts'
import { type Delivery, deliveriesFor } from './delivery.ts'
import { earliest } from './earliest.ts'
import { MessageLayer } from './message-layer.ts'
import { Pinger } from './pinger.ts'
import { Pings } from './pings.ts'
import { Requests } from './requests.ts'
import { type RequestResult, refused, sessionClosed } from './result.ts'
import { SessionLink } from './session-link.ts'
import { SubscriptionList } from './subscription-list.ts'
import { uniform } from './uniform.ts'

/** Describes that the session itself asks old devices for. */
const describeTimeout: Millis = 30_000

/** Events to a device that waits with so many acknowledgements are dropped. */
const maxUnacknowledgedEvents = 64

/** Aloe's own platform, which speaks the 6.2 dialect under version numbers of its own. */
const linuxPlatform = 43

/** System version of Device OS 6.2.0, where public events ended (device-protocol.md 3.11). */
const firstWithoutPublicEvents = 6200

export class CloudSession {
  readonly #transport: 'tcp' | 'udp'
  readonly #handlers: CloudSessionHandlers
  readonly #unixTime: () => number
  readonly #layer: MessageLayer
  readonly #requests: Requests
  readonly #maxSubscriptions: number
  readonly #pinger: Pinger
  readonly #helloDeadline: Millis | undefined
  #describes: CloudDescribes | undefined
  readonly #pings = new Pings()
  readonly #updates = new CloudUpdates()
  #hello: Hello | undefined
  #subscriptions: SubscriptionList
  #maxMessageSize = 0
  #now: Millis
  #closed = false

  constructor(options: CloudSessionOptions) {
    const { transport, random, handlers, now = 0, resume } = options
    this.#transport = transport
    this.#handlers = handlers
    this.#unixTime = options.unixTime
    this.#maxSubscriptions = options.maxSubscriptions ?? defaultMaxSubscriptions
    this.#now = now
    this.#layer = new MessageLayer({
      transport,
      firstMessageId: options.firstMessageId,
      random: uniform(random),
      handlers,
      limits: rfcLimits,
      exchangeLifetime,
    })
    this.#requests = new Requests(random(1)[0] ?? 0)
    this.#pinger = new Pinger(options.ping ?? defaultPing[transport], now)
    this.#subscriptions = new SubscriptionList(this.#maxSubscriptions, resume?.subscriptions)
    this.#helloDeadline =
      options.now === undefined || resume ? undefined : now + (options.helloTimeout ?? defaultHelloTimeout)
    if (resume) this.#greeted(resume.hello)
  }

  /** What the device said first; undefined until then. */
  get hello(): Hello | undefined {
    return this.#hello
  }

  get subscriptions(): readonly Subscription[] {
    return this.#subscriptions.all
  }

  /** Bytes of the largest CoAP message that the device takes; 0 before its Hello. */
  get maxMessageSize(): number {
    return this.#maxMessageSize
  }

  /** Takes one CoAP message from the channel. The session may keep views of no part of it once this returns. */
  receive(bytes: Uint8Array, now: Millis): void {
    if (this.#closed) return
    this.#now = now
    this.#pinger.heard(now)
    let message: CoapMessage
    try {
      message = decodeMessage(bytes)
    } catch (error) {
      this.#malformed(error)
      return
    }
    if (message.type === coapType.ack || message.type === coapType.rst) this.#answered(message, now)
    else if (!this.#hello && !isHello(message) && message.code !== code.empty) this.#early()
    else if (message.type === coapType.con && !this.#layer.receive(message.id, now)) return
    else if (isEventPublish(bytes)) this.#event(message)
    else if (this.#updates.receive(message, now)) return
    else if (message.code === code.empty) this.#acknowledge(message)
    else if (isRequestCode(message.code)) this.#request(message, now)
    else this.#response(message)
    // Over TCP a pong has a wrong id: whatever comes shows that the device lives (device-protocol.md 1.7).
    if (this.#transport === 'tcp') this.#pings.answered(undefined, now)
  }

  /** Does what is due: retransmissions, timeouts, pings. */
  poll(now: Millis): void {
    if (this.#closed) return
    this.#now = now
    this.#layer.poll(now)
    for (const id of this.#requests.poll(now)) this.#layer.acknowledge(id, 0)
    this.#pings.poll(now)
    this.#updates.poll(now)
    if (!this.#hello) {
      if (this.#helloDeadline !== undefined && this.#helloDeadline <= now) {
        this.#end(new ProtocolError('hello-timeout', 'the device did not say Hello in time'))
      }
      return
    }
    // A device that takes an update may be silent for longer; its transfer watches the time.
    if (this.#updates.active) return
    const due = this.#pinger.poll(now)
    if (due === 'ping') this.#sendPing(now)
    else if (due === 'gone') this.#end(new ProtocolError('ping-timeout', 'the device fell silent'))
  }

  /** When `poll` is next needed. */
  nextDeadline(): Millis | undefined {
    if (this.#closed) return undefined
    const ping = this.#hello ? (this.#updates.active ? undefined : this.#pinger.deadline) : this.#helloDeadline
    return earliest(
      ping,
      this.#layer.nextDeadline(),
      this.#requests.nextDeadline(),
      this.#pings.nextDeadline(),
      this.#updates.nextDeadline(),
    )
  }

  /** Ends the session without a word to the device: all who wait are told `closed`. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#layer.close()
    this.#requests.close()
    this.#pings.close()
    this.#updates.close()
  }

  /**
   * Calls a function. Whether the device has it must be known from its application describe: devices never answer for
   * functions that they do not know (device-protocol.md 3.12).
   *
   * @param argument UTF-8 text; at most what fits the device's message size
   */
  call(
    name: string,
    argument: string,
    now: Millis,
    timeout: Millis,
    done: (result: RequestResult<number>) => void,
  ): void {
    this.#ask(
      (head) => encodeFunctionCall(head, { name, argument }),
      now,
      now + timeout,
      (result) => {
        if (!result.ok) done(result)
        else {
          const value = decodeFunctionReturn(result.value.payload)
          done(value === undefined ? refused('the device returned no 32 bit integer') : { ok: true, value })
        }
      },
    )
  }

  /** Reads a variable; its bytes mean what the type in the application describe says, see `decodeVariable`. */
  readVariable(name: string, now: Millis, timeout: Millis, done: (result: RequestResult<Uint8Array>) => void): void {
    this.#ask(
      (head) => encodeVariableRequest(head, name),
      now,
      now + timeout,
      (result) => {
        done(result.ok ? { ok: true, value: result.value.payload.slice() } : result)
      },
    )
  }

  /** Asks for a describe, which is also handed to `handlers.describe`. */
  requestDescribe(
    kind: DescribeKind,
    now: Millis,
    timeout: Millis,
    done?: (result: RequestResult<readonly Describe[]>) => void,
  ): void {
    if (kind === 'metrics' && this.#hello && !(this.#hello.flags & helloFlag.vitals)) {
      done?.(refused('the device has no vitals'))
      return
    }
    this.#describe.fetch(kind, now + timeout, done ?? (() => undefined))
  }

  /** Pings the device. The value is the time until its answer, in milliseconds. */
  ping(now: Millis, timeout: Millis, done: (result: RequestResult<Millis>) => void): void {
    if (this.#closed || !this.#hello) {
      done(this.#closed ? sessionClosed : refused('the device has not said Hello yet'))
      return
    }
    this.#pings.add(this.#sendPing(now), now, now + timeout, done)
  }

  /** Starts or stops the rainbow on the device's LED. The value is nothing. */
  signal(on: boolean, now: Millis, timeout: Millis, done: (result: RequestResult<undefined>) => void): void {
    this.#ask(
      (head) => encodeSignal(head, on),
      now,
      now + timeout,
      (result) => {
        done(result.ok ? { ok: true, value: undefined } : result)
      },
    )
  }

  /**
   * Tells a UDP device to forget its session and to make a full handshake. Sent once: the first copy already destroys
   * the session, and its acknowledgement has a wrong id (device-protocol.md 3.14). Over TCP it has no effect.
   */
  changeKey(): void {
    if (this.#closed || !this.#hello) return
    const head = { type: coapType.con, id: this.#layer.nextId(), token: tokenOf(this.#requests.nextToken()) }
    this.#layer.send(encodeKeyChange(head))
  }

  /** Sends an event to the device if a subscription wants it. False when none does, or when it cannot be sent. */
  deliver(event: Delivery, now: Millis): boolean {
    if (this.#closed || this.#subscriptions.all.length === 0) return false
    let sent = false
    for (const form of deliveriesFor(this.#subscriptions.all, event)) sent = this.#sendEvent(form, now) || sent
    return sent
  }

  /** Sends a system event: every device subscribes to `spark` and `particle`, so no subscription is looked for. */
  publishSystem(name: string, data: string | Uint8Array, now: Millis): boolean {
    return this.#sendEvent({ name, data: typeof data === 'string' ? Buffer.from(data, 'utf8') : data }, now)
  }

  /** True while an update runs. */
  get updating(): boolean {
    return this.#updates.active
  }

  /**
   * Sends an update file, windowed or chunked as the device's Hello says; one at a time. The device applies it once the
   * cloud has acknowledged the result, then restarts: the connection ends by itself.
   *
   * @param file the complete update binary, kept until the end
   */
  startUpdate(file: Uint8Array, options: UpdateOptions, now: Millis, handlers: SenderHandlers): UpdateHandle {
    const link = new SessionLink(
      this.#layer,
      this.#requests,
      this.#maxMessageSize,
      () => this.#handlers.congested?.() ?? false,
    )
    return this.#updates.start(link, this.#closed ? undefined : this.#hello, file, options, now, handlers)
  }

  #event(message: CoapMessage): void {
    this.#guard(message, () => {
      const event = decodeEvent(message)
      if (this.#handlers.admit?.(event) === false) {
        this.#acknowledge(message, code.badRequest)
        return
      }
      this.#acknowledge(message)
      this.#handlers.event(event)
    })
  }

  #request(message: CoapMessage, now: Millis): void {
    const letter = pathLetter(message)
    this.#guard(message, () => {
      if (message.code === code.post && letter === 'h') this.#helloReceived(message, now)
      else if (message.code === code.post && letter === 'd') this.#acknowledge(message, this.#posted(message))
      else if (message.code === code.get && letter === 'e') this.#subscribed(message)
      else if (message.code === code.get && letter === 't') {
        this.#layer.answer(message.id, encodeTimeResponse(message, this.#unixTime()))
      } else if (message.code === code.post && letter === 'x') {
        const goodbye = decodeGoodbye(message.payload)
        this.#acknowledge(message)
        this.#handlers.goodbye?.(goodbye)
      } else {
        // Ledger: 5.01 piggybacked lets the device go on without (device-protocol.md 3.17). RST would kill UDP sessions.
        this.#acknowledge(message, letter === 'L' ? code.notImplemented : code.notFound)
      }
    })
  }

  #helloReceived(message: CoapMessage, now: Millis): void {
    const hello = decodeHello(message.payload)
    this.#greeted(hello)
    this.#subscriptions = new SubscriptionList(this.#maxSubscriptions)
    this.#handlers.hello(hello)
    if (this.#closed) return
    this.#acknowledge(message)
    if (this.#transport === 'tcp') this.#layer.send(encodeServerHello(this.#layer.nextId()))
    else if (hello.flags & helloFlag.otaSuccessful) {
      // Only this clears the device's flag of a successful update; sent again, since the device drops it while it
      // waits for the acknowledgement of its own (device-protocol.md 2.10, 3.5).
      const id = this.#layer.nextId()
      this.#layer.sendConfirmable(id, encodeServerHello(id, coapType.con), now)
    }
    if (!(hello.flags & helloFlag.deviceInitiatedDescribe)) {
      this.#describe.fetch(undefined, now + describeTimeout, (result) => {
        if (result.ok || result.error === 'closed') return
        this.#handlers.problem?.(new ProtocolError('describe', `the device did not describe itself: ${result.message}`))
      })
    }
  }

  #greeted(hello: Hello): void {
    this.#hello = hello
    this.#maxMessageSize = maxMessageSizeOf(hello, this.#transport)
    this.#describes = undefined
  }

  /** Only while describes come: most of the time none does. */
  get #describe(): CloudDescribes {
    this.#describes ??= new CloudDescribes(
      this.#hello?.platformId,
      (encode, deadline, done) => this.#ask(encode, this.#now, deadline, done),
      (describe) => this.#handlers.describe(describe),
    )
    return this.#describes
  }

  /** @returns the code to acknowledge a posted describe with */
  #posted(message: CoapMessage): number {
    const describes = this.#describe
    const answer = describes.posted(message)
    if (describes.idle && this.#describes === describes) this.#describes = undefined
    return answer
  }

  #subscribed(message: CoapMessage): void {
    const subscription = decodeSubscribe(message, this.#publicScope())
    const added = this.#subscriptions.add(subscription)
    this.#acknowledge(message, added === 'full' ? code.badRequest : code.empty)
    if (added === 'added') this.#handlers.subscribe?.(subscription)
  }

  /** What a subscription without query means is the one thing for which a device gives no flag. */
  #publicScope(): 'owner' | 'all' {
    const hello = this.#hello
    if (!hello?.system) return 'all'
    return hello.platformId === linuxPlatform || hello.system.version >= firstWithoutPublicEvents ? 'owner' : 'all'
  }

  #response(message: CoapMessage): void {
    // Acknowledged even when nobody waits any more, or the device would repeat it and give up its session.
    this.#acknowledge(message)
    const id = this.#requests.answer(message, tokenByte(message), false)
    if (id !== undefined) this.#layer.acknowledge(id, message.code)
  }

  #answered(message: CoapMessage, now: Millis): void {
    if (this.#updates.receive(message, now)) {
      if (message.type === coapType.rst) this.#layer.reset(message.id)
      else this.#layer.acknowledge(message.id, message.code)
      return
    }
    if (message.type === coapType.rst) {
      this.#layer.reset(message.id)
      this.#requests.fail(message.id, refused('the device rejected the request'))
      this.#pings.answered(message.id, now)
      return
    }
    // The answer to a signal comes under a wrong message id over TCP: the token decides (device-protocol.md 3.2).
    if (message.code !== code.empty) {
      const id = this.#requests.answer(message, tokenByte(message), true)
      if (id !== undefined && id !== message.id) this.#layer.acknowledge(id, message.code)
    }
    this.#layer.acknowledge(message.id, message.code)
    this.#pings.answered(message.id, now)
  }

  #sendPing(now: Millis): number {
    const id = this.#layer.nextId()
    this.#layer.sendConfirmable(id, encodePing(id), now)
    return id
  }

  /** Events go NON over TCP, where devices do not acknowledge them, and CON over UDP (device-protocol.md 3.10). */
  #sendEvent(event: EventFields, now: Millis): boolean {
    if (this.#closed || !this.#hello || this.#layer.outstanding >= maxUnacknowledgedEvents) return false
    const type = this.#transport === 'tcp' ? coapType.non : coapType.con
    const message = encodeEventDelivery({ type, id: this.#layer.nextId(), token: noBytes }, event)
    if (message.length > this.#maxMessageSize) return false
    if (type === coapType.non) this.#layer.send(message)
    else this.#layer.sendConfirmable(messageId(message), message, now)
    return true
  }

  /** Makes a request of one token byte and waits for its response until `deadline`. */
  #ask(
    encode: (head: Head) => Uint8Array,
    now: Millis,
    deadline: Millis,
    done: (result: RequestResult<CoapMessage>) => void,
  ): void {
    if (this.#closed || !this.#hello || this.#requests.full) {
      const why = this.#hello ? 'too many requests wait for the device' : 'the device has not said Hello yet'
      done(this.#closed ? sessionClosed : refused(why))
      return
    }
    const token = this.#requests.nextToken()
    const id = this.#layer.nextId()
    const message = encode({ type: coapType.con, id, token: tokenOf(token) })
    if (message.length > this.#maxMessageSize) {
      done(refused(`the request has ${message.length} bytes, the device takes ${this.#maxMessageSize}`))
      return
    }
    this.#requests.add(token, id, deadline, done)
    this.#layer.sendConfirmable(id, message, now)
  }

  /** Answers what is confirmable: empty, or with a code and the request's token. */
  #acknowledge(message: CoapMessage, answer: number = code.empty): void {
    if (message.type !== coapType.con) return
    if (answer === code.empty) this.#layer.answerEmpty(message.id)
    else {
      const head = { type: coapType.ack, id: message.id, token: message.token }
      this.#layer.answer(message.id, encodeResponse(head, answer))
    }
  }

  /** Runs the handling of one request: what cannot be read is answered with 4.00 and told as a problem. */
  #guard(message: CoapMessage, handle: () => void): void {
    try {
      handle()
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#acknowledge(message, code.badRequest)
      this.#handlers.problem?.(error)
    }
  }

  /** Broken CoAP ends a TCP session, whose frames can then not be trusted; a datagram is dropped. */
  #malformed(error: unknown): void {
    if (!(error instanceof ProtocolError)) throw error
    if (this.#transport === 'tcp') this.#end(error)
    else this.#handlers.problem?.(error)
  }

  /** Before Hello nothing else counts: over TCP it is an error, over UDP datagrams may overtake each other. */
  #early(): void {
    if (this.#transport === 'tcp') this.#end(new ProtocolError('hello-expected', 'the first message was no Hello'))
  }

  #end(error: ProtocolError): void {
    this.close()
    this.#handlers.closed(error)
  }
}

function isHello(message: CoapMessage): boolean {
  return message.code === code.post && pathLetter(message) === 'h'
}

function messageId(message: Uint8Array): number {
  return ((message[2] ?? 0) << 8) | (message[3] ?? 0)
}
