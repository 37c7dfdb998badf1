/**
 * System errors on the wire: the code's CoAP class, and the JSON that carries the code itself
 * (device-protocol.md 3.19). The code in the JSON is the authoritative one.
 */
import { systemErrorMessage, updateResult } from '@aloe/firmware'
import { type CoapMessage, code, codeName } from '../coap/message.ts'

/** General system errors that are not results of an update (device-protocol.md 3.19). */
export const systemError = {
  ...updateResult,
  unknown: -100,
  cancelled: -140,
  aborted: -150,
  internal: -250,
  coap: -1000,
} as const

const coapCodes: Readonly<Record<number, number>> = {
  [systemError.ok]: code.changed,
  [systemError.invalidArgument]: code.badRequest,
  [systemError.badData]: code.badRequest,
  [systemError.tooLarge]: code.badRequest,
  [systemError.coap]: code.badRequest,
  [systemError.notFound]: code.notFound,
  [systemError.notAllowed]: code.forbidden,
  [systemError.timeout]: code.gatewayTimeout,
  [systemError.notSupported]: code.notImplemented,
  [systemError.internal]: code.internalServerError,
}

/** The response code for a system error: 2.04 for none, 5.03 for those without a class of their own. */
export function coapCodeOf(error: number): number {
  return coapCodes[error] ?? code.serviceUnavailable
}

const maxMessage = 200

/** `{"code":-1340,"message":"..."}` */
export function encodeSystemError(error: number, message = systemErrorMessage(error)): Uint8Array {
  return Buffer.from(JSON.stringify({ code: error, message: message.slice(0, maxMessage) }))
}

/** Reads an error response. Without usable JSON the code is -1390, the generic error of an update. */
export function decodeSystemError(response: CoapMessage): { code: number; message: string } {
  const said = jsonObject(response.payload)
  const error = typeof said?.code === 'number' ? said.code : systemError.error
  if (typeof said?.message === 'string') return { code: error, message: said.message }
  const words = typeof said?.code === 'number' ? systemErrorMessage(error) : 'the device refused'
  return { code: error, message: `${words} (${codeName(response.code)})` }
}

/** A payload that is a JSON object; undefined when it is anything else, since devices may cut it short. */
export function jsonObject(payload: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(payload).toString('utf8'))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
