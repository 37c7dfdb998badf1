/** The Describe messages (device-protocol.md 3.8): who posts and asks for what, and in which blocks. */
import type { SystemDescribe } from '@aloe/firmware'
import { type Block, decodeBlock, encodeBlock } from '../coap/block.ts'
import { type CoapMessage, type CoapOption, code, noBytes, optionNumber } from '../coap/message.ts'
import { findOption, uintOption } from '../coap/options.ts'
import { encodeRequest, encodeResponse, type Head } from './build.ts'
import { contentFormat } from './content-format.ts'
import { type ApplicationDescribe, decodeApplicationDescribe } from './describe-application.ts'
import { describeFromJson } from './describe-system-json.ts'
import { decodeSystemDescribe } from './describe-system-protobuf.ts'
import { MessageError } from './error.ts'
import { decodeVitals, type Vital } from './vitals.ts'

export type DescribeKind = 'system' | 'application' | 'metrics'

/** Describe types are a bit mask; a device since 3.3 takes only one bit at a time. */
export const describeType: Readonly<Record<DescribeKind, number>> = { system: 1, application: 2, metrics: 4 }

export type Describe =
  | { readonly kind: 'system'; readonly describe: SystemDescribe }
  | ApplicationDescribe
  | { readonly kind: 'metrics'; readonly vitals: readonly Vital[] }

/** Bytes of a block but the last: 1024, or 512 when the largest message is too small for that (3.8.1). */
export function describeBlockSize(maxMessageSize: number): number {
  // Header, token, options, payload marker: 16 bytes are enough for each of these messages.
  return maxMessageSize >= 1024 + 16 ? 1024 : 512
}

/** The kind of a type byte with one bit; undefined for any other. */
export function describeKindOf(type: number | undefined): DescribeKind | undefined {
  switch (type) {
    case describeType.system:
      return 'system'
    case describeType.application:
      return 'application'
    case describeType.metrics:
      return 'metrics'
    default:
      return undefined
  }
}

/** A device's `POST /d`; with `block` one block of it. */
export function encodeDescribePost(head: Head, kind: DescribeKind, payload: Uint8Array, block?: Block): Uint8Array {
  const options: CoapOption[] = [...formatOption(kind), typeOption(describeType[kind])]
  if (block) options.push({ number: optionNumber.block1, value: encodeBlock(block) })
  return encodeRequest(head, code.post, 'd', options, payload)
}

/**
 * The cloud's `GET /d`. Without a kind it has no query, which only devices before 2.0 understand: they answer with
 * system and application together.
 */
export function encodeDescribeGet(head: Head, kind?: DescribeKind, block?: Block): Uint8Array {
  const options: CoapOption[] = kind ? [typeOption(describeType[kind])] : []
  if (block) options.push({ number: optionNumber.block2, value: encodeBlock(block) })
  return encodeRequest(head, code.get, 'd', options)
}

/** A device's separate response 2.05; with `block` one block of it, marked by an ETag. */
export function encodeDescribeResponse(
  head: Head,
  kind: DescribeKind,
  payload: Uint8Array,
  block?: Block & { readonly etag: number },
): Uint8Array {
  const options: CoapOption[] = [...formatOption(kind)]
  if (block) {
    options.push({ number: optionNumber.etag, value: uintOption(block.etag) })
    options.push({ number: optionNumber.block2, value: encodeBlock(block) })
  }
  return encodeResponse(head, code.content, payload, options)
}

/** The block option of that number, if any. @throws CoapError when it is malformed */
export function findBlock(message: CoapMessage, number: number): Block | undefined {
  const value = findOption(message, number)
  return value && decodeBlock(value)
}

/**
 * Reads a describe's payload. Whether a system describe is JSON or protobuf is told from its first byte, since devices
 * before 5.5 say nothing about it: JSON begins with a brace, which as a protobuf tag would be a group.
 * A JSON document may hold the system and the application in one (old devices).
 *
 * @throws MessageError when the payload is none of these
 */
export function decodeDescribe(kind: DescribeKind | undefined, payload: Uint8Array): Describe[] {
  if (kind === 'metrics') return [{ kind, vitals: decodeVitals(payload) }]
  if (kind === 'system' && !looksLikeJson(payload)) return [{ kind, describe: decodeSystemDescribe(payload) }]
  const document = parseJson(payload)
  const found: Describe[] = []
  if ('m' in document) found.push({ kind: 'system', describe: describeFromJson(document) })
  if ('f' in document || 'v' in document) found.push(decodeApplicationDescribe(document))
  if (found.length === 0) {
    // An application without functions and variables may say nothing at all.
    if (kind === 'application') return [{ kind, functions: [], variables: {} }]
    throw new MessageError('describe-format', 'a describe with neither modules nor functions nor variables')
  }
  return found
}

function formatOption(kind: DescribeKind): CoapOption[] {
  if (kind !== 'system') return []
  return [{ number: optionNumber.contentFormat, value: uintOption(contentFormat.octetStream) }]
}

function typeOption(type: number): CoapOption {
  return { number: optionNumber.uriQuery, value: type === 0 ? noBytes : Uint8Array.of(type) }
}

function looksLikeJson(payload: Uint8Array): boolean {
  return payload[0] === 0x7b
}

function parseJson(payload: Uint8Array): Readonly<Record<string, unknown>> {
  let document: unknown
  try {
    document = JSON.parse(Buffer.from(payload).toString('utf8'))
  } catch (cause) {
    throw new MessageError('describe-format', 'a describe is no JSON', { cause })
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw new MessageError('describe-format', 'a describe is no JSON object')
  }
  return document as Record<string, unknown>
}
