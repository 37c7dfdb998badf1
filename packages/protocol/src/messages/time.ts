import { type CoapMessage, coapType, code } from '../coap/message.ts'
import { encodeRequest, encodeResponse, type Head, viewOf } from './build.ts'

/** `GET /t`, confirmable over both transports. */
export function encodeTimeRequest(head: Head): Uint8Array {
  return encodeRequest(head, code.get, 't')
}

/**
 * The piggybacked answer to `GET /t`. The device reads four bytes at offset 6, so there is one token byte and no
 * option; it is the only message of the cloud that may have code 2.05 (device-protocol.md 3.7).
 *
 * @param unixTime seconds, UTC; 32 bits go over the wire
 */
export function encodeTimeResponse(request: CoapMessage, unixTime: number): Uint8Array {
  const payload = new Uint8Array(4)
  viewOf(payload).setUint32(0, Math.max(0, Math.min(0xffff_ffff, Math.floor(unixTime))))
  const type = request.type === coapType.con ? coapType.ack : coapType.non
  return encodeResponse({ type, id: request.id, token: request.token }, code.content, payload)
}

/** Unix time in seconds, or undefined when the message is no time response. */
export function decodeTimeResponse(message: CoapMessage): number | undefined {
  if (message.code !== code.content || message.payload.length !== 4) return undefined
  return viewOf(message.payload).getUint32(0)
}
