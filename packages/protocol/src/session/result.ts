import { type CoapMessage, code, codeName, isErrorCode } from '../coap/message.ts'

/** How a request to the other end came out. */
export type RequestResult<T> =
  | { readonly ok: true; readonly value: T }
  | {
      readonly ok: false
      /** `refused` is any answer other than success and not found, and a request that could not be made. */
      readonly error: 'timeout' | 'not-found' | 'refused' | 'closed'
      /** The CoAP code of the answer, if there was one. */
      readonly code?: number
      readonly message?: string
    }

export type RequestFailure = Extract<RequestResult<never>, { ok: false }>

export const timedOut: RequestFailure = { ok: false, error: 'timeout', message: 'the device did not answer in time' }

export const sessionClosed: RequestFailure = { ok: false, error: 'closed', message: 'the connection was closed' }

export function refused(message: string): RequestFailure {
  return { ok: false, error: 'refused', message }
}

/** The result of an answer by its code; errors may carry `{"code":-1351,"message":"..."}` (device-protocol.md 3.19). */
export function resultOf(answer: CoapMessage): RequestResult<CoapMessage> {
  if (!isErrorCode(answer.code)) return { ok: true, value: answer }
  const error = answer.code === code.notFound ? 'not-found' : 'refused'
  return { ok: false, error, code: answer.code, message: errorText(answer) }
}

function errorText(answer: CoapMessage): string {
  const name = codeName(answer.code)
  if (answer.payload.length === 0 || answer.payload.length > 1024) return name
  return `${name} ${Buffer.from(answer.payload).toString('utf8')}`
}
