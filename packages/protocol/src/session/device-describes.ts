/** How a device describes itself: by its own posts and by answers to the cloud, in blocks if need be (3.8). */
import type { Block } from '../coap/block.ts'
import { type CoapMessage, coapType, code, optionNumber } from '../coap/message.ts'
import { encodeResponse, type Head, tokenByte, tokenOf } from '../messages/build.ts'
import {
  type DescribeKind,
  describeBlockSize,
  describeKindOf,
  encodeDescribePost,
  encodeDescribeResponse,
  findBlock,
} from '../messages/describe.ts'
import { queryByte } from '../messages/function.ts'
import type { Millis } from '../time.ts'
import type { MessageLayer } from './message-layer.ts'

/** An unfinished block-wise answer is forgotten after this time (device-protocol.md 3.8.2). */
const responseLifetime: Millis = 90_000

/** Describes that wait for a block-wise one to end; vitals posted again and again must not fill memory. */
const maxQueued = 16

interface Post {
  readonly kind: DescribeKind
  readonly payload: Uint8Array
  readonly done: ((acknowledged: boolean) => void) | undefined
}

interface Serving {
  readonly kind: DescribeKind
  readonly payload: Uint8Array
  readonly etag: number
  readonly next: number
  readonly deadline: Millis
}

export interface DescribeSource {
  readonly layer: MessageLayer
  readonly maxMessageSize: number
  readonly nextToken: () => number
  readonly payload: (kind: DescribeKind) => Uint8Array
  /** System and application in one, of a device that answers requests without a kind: those before Device OS 2.0. */
  readonly combined?: () => Uint8Array
}

export class DeviceDescribes {
  readonly #source: DescribeSource
  readonly #blockSize: number
  #queue: Post[] = []
  #posting = false
  #serving: Serving | undefined
  #etag = 0

  constructor(source: DescribeSource) {
    this.#source = source
    this.#blockSize = describeBlockSize(source.maxMessageSize)
  }

  /** Posts a describe. While a block-wise one is under way, the next waits for its last acknowledgement. */
  post(kind: DescribeKind, payload: Uint8Array, now: () => Millis, done?: (acknowledged: boolean) => void): void {
    if (this.#queue.length >= maxQueued) {
      done?.(false)
      return
    }
    this.#queue.push({ kind, payload, done })
    this.#pump(now)
  }

  /** Answers `GET /d`: an empty acknowledgement, then a separate response; errors as 3.8.2 has them. */
  answer(request: CoapMessage, now: Millis): void {
    const { layer } = this.#source
    const token = tokenByte(request)
    const asked = queryByte(request)
    const kind = describeKindOf(asked)
    const { combined } = this.#source
    if (combined && asked === undefined && request.type === coapType.con && token !== undefined) {
      const head = { type: coapType.ack, id: request.id, token: request.token }
      layer.answer(request.id, encodeResponse(head, code.content, combined()))
      return
    }
    if (request.type !== coapType.con || token === undefined || !kind) {
      const type = request.type === coapType.con ? coapType.ack : coapType.non
      layer.answer(request.id, encodeResponse({ type, id: request.id, token: request.token }, code.badRequest))
      return
    }
    const wanted = findBlock(request, optionNumber.block2)
    layer.answerEmpty(request.id)
    const head: Head = { type: coapType.con, id: layer.nextId(), token: request.token }
    layer.sendConfirmable(head.id, this.#response(head, kind, wanted, now), now)
  }

  #response(head: Head, kind: DescribeKind, wanted: Block | undefined, now: Millis): Uint8Array {
    if (!wanted || wanted.number === 0) {
      const payload = this.#source.payload(kind)
      if (payload.length <= this.#blockSize) return encodeDescribeResponse(head, kind, payload)
      this.#etag = (this.#etag + 1) & 0xffff
      this.#serving = { kind, payload, etag: this.#etag, next: 0, deadline: now + responseLifetime }
      return this.#block(head, this.#serving, now)
    }
    const serving = this.#serving
    if (!serving || serving.kind !== kind || serving.next !== wanted.number || serving.deadline <= now) {
      return encodeResponse(head, code.notFound)
    }
    if (wanted.size !== this.#blockSize) return encodeResponse(head, code.badOption)
    return this.#block(head, serving, now)
  }

  #block(head: Head, serving: Serving, now: Millis): Uint8Array {
    const size = this.#blockSize
    const start = serving.next * size
    const more = start + size < serving.payload.length
    const block = { number: serving.next, more, size, etag: serving.etag }
    this.#serving = more ? { ...serving, next: serving.next + 1, deadline: now + responseLifetime } : undefined
    return encodeDescribeResponse(head, serving.kind, serving.payload.subarray(start, start + size), block)
  }

  #pump(now: () => Millis): void {
    while (!this.#posting) {
      const post = this.#queue.shift()
      if (!post) return
      if (post.payload.length > this.#blockSize) this.#postBlock(post, 0, now)
      else this.#send(post, post.payload, undefined, now(), (acknowledged) => post.done?.(acknowledged))
    }
  }

  #postBlock(post: Post, number: number, now: () => Millis): void {
    const size = this.#blockSize
    const start = number * size
    const more = start + size < post.payload.length
    this.#posting = true
    this.#send(post, post.payload.subarray(start, start + size), { number, more, size }, now(), (acknowledged) => {
      if (acknowledged && more) this.#postBlock(post, number + 1, now)
      else {
        this.#posting = false
        post.done?.(acknowledged)
        this.#pump(now)
      }
    })
  }

  #send(
    post: Post,
    payload: Uint8Array,
    block: Block | undefined,
    now: Millis,
    ended: (acknowledged: boolean) => void,
  ): void {
    const { layer } = this.#source
    const head: Head = { type: coapType.con, id: layer.nextId(), token: tokenOf(this.#source.nextToken()) }
    layer.sendConfirmable(head.id, encodeDescribePost(head, post.kind, payload, block), now, (acknowledgement) => {
      ended(acknowledgement.kind === 'acknowledged' && acknowledgement.code < code.badRequest)
    })
  }
}
