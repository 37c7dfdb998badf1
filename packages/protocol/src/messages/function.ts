import { type CoapMessage, code, optionNumber } from '../coap/message.ts'
import { findOption, textOption, textOptions } from '../coap/options.ts'
import { encodeRequest, encodeResponse, type Head, viewOf } from './build.ts'

/** Bytes of a function's or variable's name since 0.8. */
export const maxNameSize = 64

export interface FunctionCall {
  readonly name: string
  readonly argument: string
}

/**
 * `CON POST /f/<name>?<argument>`. The Uri-Query option is there even when the argument is empty: without it the
 * device reads stale memory as the argument (device-protocol.md 3.12).
 */
export function encodeFunctionCall(head: Head, call: FunctionCall): Uint8Array {
  return encodeRequest(head, code.post, 'f', [
    textOption(optionNumber.uriPath, call.name),
    textOption(optionNumber.uriQuery, call.argument),
  ])
}

/** A call; undefined when the name is missing. */
export function decodeFunctionCall(message: CoapMessage): FunctionCall | undefined {
  const name = textOptions(message, optionNumber.uriPath)[1]
  if (!name) return undefined
  return { name, argument: textOptions(message, optionNumber.uriQuery)[0] ?? '' }
}

/** The separate response 2.04 with a signed 32 bit value. */
export function encodeFunctionReturn(head: Head, value: number): Uint8Array {
  const payload = new Uint8Array(4)
  viewOf(payload).setInt32(0, value)
  return encodeResponse(head, code.changed, payload)
}

/** The returned value; undefined when the payload is no 32 bit integer. */
export function decodeFunctionReturn(payload: Uint8Array): number | undefined {
  return payload.length === 4 ? viewOf(payload).getInt32(0) : undefined
}

/** The byte of a one-byte Uri-Query, which describes, signals and key changes carry; undefined when it is no such. */
export function queryByte(message: CoapMessage): number | undefined {
  const value = findOption(message, optionNumber.uriQuery)
  return value?.length === 1 ? value[0] : undefined
}
