/** How event data stands in streams, by its content format (cloud-api.md 3.2). */
import { contentFormat, dataAsText } from '@aloe/protocol'

/**
 * The `data` of an event: text as it is, structured data as JSON, anything else as a data URL; null when the event has
 * none.
 *
 * @param format CoAP content format (device-protocol.md 3.9)
 */
export function eventData(bytes: Uint8Array, format: number): string | null {
  if (bytes.length === 0) return null
  const text = dataAsText(bytes, format)
  if (text !== undefined) return Buffer.from(text.buffer, text.byteOffset, text.byteLength).toString('utf8')
  const base64 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
  return `data:${mediaType(format)};base64,${base64}`
}

function mediaType(format: number): string {
  if (format === contentFormat.jpeg) return 'image/jpeg'
  if (format === contentFormat.png) return 'image/png'
  return 'application/octet-stream'
}
