import { type CoapMessage, type CoapOption, code, noBytes, optionNumber } from '../coap/message.ts'
import { readUint, textOption, uintOption } from '../coap/options.ts'
import { encodeRequest, type Head } from './build.ts'
import { contentFormat } from './content-format.ts'
import { MessageError } from './error.ts'

/** Seconds that an event lives when it says nothing else (device-protocol.md 3.9). */
export const defaultTtl = 60

/** Bytes of an event's name since 0.7. */
export const maxEventNameSize = 64

/** An event as a device published it. `data` may be a view of the received message. */
export interface DeviceEvent {
  readonly name: string
  readonly data: Uint8Array
  /** `contentFormat` value. */
  readonly contentType: number
  /** Seconds. */
  readonly ttl: number
  readonly confirmable: boolean
}

export interface EventFields {
  readonly name: string
  readonly data?: Uint8Array
  /** `contentFormat` value; text when left out. */
  readonly contentType?: number
  /** Seconds; 60 when left out. */
  readonly ttl?: number
}

const pathE = 0x45
const pathOldE = 0x65
const lengthOnePath = 0xb1

/**
 * True when the bytes are a POST to `/E` or `/e`, told from fixed offsets as devices dispatch (3.1), so that the
 * hottest message needs no decoding to be recognised.
 */
export function isEventPublish(bytes: Uint8Array): boolean {
  if (bytes[1] !== code.post) return false
  const path = 4 + ((bytes[0] ?? 0) & 0x0f)
  const letter = bytes[path + 1]
  return bytes[path] === lengthOnePath && (letter === pathE || letter === pathOldE)
}

/**
 * Reads a POST to `/E` or `/e` of any Device OS: the name in one segment or in several, which are joined by slashes,
 * Max-Age in any length. An unknown option is ignored.
 *
 * @throws MessageError without a name
 * @throws CoapError when a number is too long
 */
export function decodeEvent(message: CoapMessage): DeviceEvent {
  let name: string | undefined
  let segments = 0
  let contentType: number = contentFormat.text
  let ttl = defaultTtl
  for (const { number, value } of message.options) {
    if (number === optionNumber.uriPath) {
      segments += 1
      if (segments === 2) name = textOf(value)
      else if (segments > 2) name += `/${textOf(value)}`
    } else if (number === optionNumber.contentFormat) {
      contentType = readUint(value)
    } else if (number === optionNumber.maxAge) {
      ttl = readUint(value)
    }
  }
  if (!name) throw new MessageError('message-format', 'an event without a name')
  return { name, data: message.payload, contentType, ttl, confirmable: message.type === 0 }
}

/** A publish as Device OS 6.2 makes it: one name segment, Content-Format and Max-Age only when not the default. */
export function encodeEventPublish(head: Head, event: EventFields): Uint8Array {
  return encodeRequest(head, code.post, 'E', eventOptions([event.name], event), event.data ?? noBytes)
}

/**
 * An event on its way to a device: one path segment a component, the form that all device parsers take (3.10).
 * Content-Format must be left out for devices before 6.2. Max-Age is left out always: no device looks at it.
 */
export function encodeEventDelivery(head: Head, event: EventFields): Uint8Array {
  const { ttl: _, ...rest } = event
  return encodeRequest(head, code.post, 'E', eventOptions(event.name.split('/'), rest), event.data ?? noBytes)
}

function eventOptions(segments: readonly string[], event: EventFields): CoapOption[] {
  const options = segments.map((segment) => textOption(optionNumber.uriPath, segment))
  const { contentType = contentFormat.text, ttl = defaultTtl } = event
  if (contentType !== contentFormat.text) {
    options.push({ number: optionNumber.contentFormat, value: uintOption(contentType) })
  }
  if (ttl !== defaultTtl) options.push({ number: optionNumber.maxAge, value: uintOption(ttl) })
  return options
}

/**
 * Short ASCII, which names are, is cheaper made from its bytes than by a decoder; anything else is UTF-8.
 */
function textOf(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8')
}
