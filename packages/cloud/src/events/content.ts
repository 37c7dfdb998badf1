/**
 * What somebody publishes through HTTP, as the cloud carries it (cloud-api.md 3.2): text as it is, a data URL as the
 * bytes in it, a JSON object or array as structured data.
 */
import { contentFormat, encodeCbor, type JsonValue, MessageError } from '@aloe/protocol'
import type { CloudEvent } from './event.ts'

export type Content = Pick<CloudEvent, 'data' | 'contentType' | 'raw'> & {
  /** What counts against the limit: for binary data the bytes, not their base64 (cloud-api.md 4). */
  readonly size: number
}

/** By MIME type; what is not here is bytes of no particular kind. */
const formats: Readonly<Record<string, number>> = {
  'image/jpeg': contentFormat.jpeg,
  'image/png': contentFormat.png,
}

/** @returns undefined for data that cannot be carried, which is only JSON that nests too deep */
export function readContent(data: unknown): Content | undefined {
  if (data === null || data === undefined) return { data: null, size: 0 }
  if (typeof data === 'object') return structured(data as JsonValue)
  const text = String(data)
  return readDataUrl(text) ?? { data: text, size: Buffer.byteLength(text) }
}

/** RFC 2397, base64 alone: other text that begins with `data:` is text. */
function readDataUrl(text: string): Content | undefined {
  if (!text.startsWith('data:')) return undefined
  const comma = text.indexOf(',')
  const head = /^data:([\w.+-]+\/[\w.+-]+)?(?:;[\w.+-]+=[\w.+-]+)*;base64$/i.exec(text.slice(0, comma))
  if (!head) return undefined
  const encoded = text.slice(comma + 1)
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(encoded)) return undefined
  const raw = new Uint8Array(Buffer.from(encoded, 'base64'))
  const type = (head[1] ?? 'application/octet-stream').toLowerCase()
  const contentType = formats[type] ?? contentFormat.octetStream
  // Streams show it by the type that devices know it by, as they show what devices publish.
  const shown = Object.hasOwn(formats, type) ? type : 'application/octet-stream'
  return { data: `data:${shown};base64,${encoded}`, contentType, raw, size: raw.length }
}

function structured(value: JsonValue): Content | undefined {
  try {
    const raw = encodeCbor(value)
    return { data: JSON.stringify(value), contentType: contentFormat.jsonAsCbor, raw, size: raw.length }
  } catch (error) {
    if (error instanceof MessageError) return undefined
    throw error
  }
}
