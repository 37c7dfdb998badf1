import { type CoapMessage, code, optionNumber } from '../coap/message.ts'
import { textOption, textOptions } from '../coap/options.ts'
import { encodeRequest, encodeResponse, type Head, viewOf } from './build.ts'
import { MessageError } from './error.ts'

export type VariableType = 'bool' | 'int32' | 'string' | 'double'

/** Type numbers in the application describe (device-protocol.md 3.8.3). */
export const variableTypeCodes: Readonly<Record<VariableType, number>> = { bool: 1, int32: 2, string: 4, double: 9 }

export type VariableValue =
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'int32' | 'double'; readonly value: number }
  | { readonly type: 'string'; readonly value: string }

/** Bytes of a value since 4.0; devices cut longer ones. */
export const maxVariableSize = 1024

/** `GET /v/<name>`. */
export function encodeVariableRequest(head: Head, name: string): Uint8Array {
  return encodeRequest(head, code.get, 'v', [textOption(optionNumber.uriPath, name)])
}

/** The name asked for; undefined when it is missing. */
export function decodeVariableRequest(message: CoapMessage): string | undefined {
  return textOptions(message, optionNumber.uriPath)[1]
}

/** The response 2.05 with the value; integers are big-endian, doubles little-endian (3.13). */
export function encodeVariableResponse(head: Head, value: VariableValue): Uint8Array {
  return encodeResponse(head, code.content, encodeVariable(value))
}

/** The bytes of a value. A string beyond 1024 bytes is cut, at a character's edge. */
export function encodeVariable(variable: VariableValue): Uint8Array {
  switch (variable.type) {
    case 'bool':
      return Uint8Array.of(variable.value ? 1 : 0)
    case 'int32': {
      const bytes = new Uint8Array(4)
      viewOf(bytes).setInt32(0, variable.value)
      return bytes
    }
    case 'double': {
      const bytes = new Uint8Array(8)
      viewOf(bytes).setFloat64(0, variable.value, true)
      return bytes
    }
    case 'string': {
      const bytes = Buffer.from(variable.value, 'utf8')
      let end = Math.min(bytes.length, maxVariableSize)
      if (end < bytes.length) while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1
      return new Uint8Array(bytes.subarray(0, end))
    }
  }
}

/**
 * The value of a response. The type is not in the response: it comes from the application describe.
 *
 * @throws MessageError when the bytes are none of that type
 */
export function decodeVariable(type: VariableType, bytes: Uint8Array): boolean | number | string {
  const view = viewOf(bytes)
  if (type === 'string') return Buffer.from(bytes).toString('utf8')
  if (type === 'bool' && bytes.length === 1) return bytes[0] !== 0
  if (type === 'int32' && bytes.length === 4) return view.getInt32(0)
  if (type === 'double' && bytes.length === 8) return view.getFloat64(0, true)
  throw new MessageError('message-format', `${bytes.length} bytes are no ${type}`)
}
