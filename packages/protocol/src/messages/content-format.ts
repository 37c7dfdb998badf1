import { cborToJson, jsonToCbor } from './cbor.ts'

/** Content-Format numbers of events (device-protocol.md 3.9, 3.10). */
export const contentFormat = {
  text: 0,
  jpeg: 22,
  png: 23,
  linkFormat: 40,
  xml: 41,
  octetStream: 42,
  json: 50,
  /** What a device receives structured data as. */
  cbor: 60,
  /** "JSON as CBOR": what a device publishes structured data as. */
  jsonAsCbor: 65001,
} as const

/** True for what a subscription without flags sees: text, link format, XML and JSON (3.10). */
export function isTextual(format: number): boolean {
  return (
    format === contentFormat.text ||
    format === contentFormat.linkFormat ||
    format === contentFormat.xml ||
    format === contentFormat.json
  )
}

/** True for CBOR under either of its numbers. */
export function isStructured(format: number): boolean {
  return format === contentFormat.cbor || format === contentFormat.jsonAsCbor
}

/**
 * Event data as text: itself when textual, JSON when structured, undefined when binary or when its CBOR is broken.
 */
export function dataAsText(data: Uint8Array, format: number): Uint8Array | undefined {
  if (isTextual(format)) return data
  if (!isStructured(format)) return undefined
  const json = cborToJson(data)
  return json === undefined ? undefined : Buffer.from(json, 'utf8')
}

/**
 * Event data as CBOR (format 60): JSON text is translated, other text becomes a CBOR string; undefined when binary.
 */
export function dataAsCbor(data: Uint8Array, format: number): Uint8Array | undefined {
  if (isStructured(format)) return data
  if (!isTextual(format)) return undefined
  return jsonToCbor(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8'))
}
