/** Signal, key change and server moved (device-protocol.md 3.14): what the cloud tells a device to do. */
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire'
import { code, noBytes, optionNumber } from '../coap/message.ts'
import { encodeRequest, type Head } from './build.ts'
import { MessageError } from './error.ts'

/** `PUT /s`: starts or stops the rainbow. The device tests the byte at offset 8, so nothing else may be in it. */
export function encodeSignal(head: Head, on: boolean): Uint8Array {
  return encodeRequest(head, code.put, 's', [{ number: optionNumber.uriQuery, value: Uint8Array.of(on ? 1 : 0) }])
}

/** `PUT /k` with value 1: over UDP the device forgets its session and makes a full handshake. */
export function encodeKeyChange(head: Head): Uint8Array {
  return encodeRequest(head, code.put, 'k', [{ number: optionNumber.uriQuery, value: Uint8Array.of(1) }])
}

export interface ServerMoved {
  readonly address: string
  /** 0 means 5684. */
  readonly port: number
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array
  /** Of a key that is in the device's firmware; an independent cloud cannot make it for real boards. */
  readonly signature: Uint8Array
}

/** `POST /M`. Never to be sent over TCP: there it destroys the connection (3.14). */
export function encodeServerMoved(head: Head, moved: ServerMoved): Uint8Array {
  const writer = new BinaryWriter()
  writer.tag(1, 2).string(moved.address)
  if (moved.port !== 0) writer.tag(2, 0).uint32(moved.port)
  writer.tag(3, 2).bytes(moved.publicKey)
  writer.tag(4, 2).bytes(moved.signature)
  return encodeRequest(head, code.post, 'M', [], writer.finish())
}

/** @throws MessageError when the payload is no such protobuf */
export function decodeServerMoved(payload: Uint8Array): ServerMoved {
  let moved: ServerMoved = { address: '', port: 0, publicKey: noBytes, signature: noBytes }
  try {
    const reader = new BinaryReader(payload)
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag()
      if (field === 1 && wireType === 2) moved = { ...moved, address: reader.string() }
      else if (field === 2 && wireType === 0) moved = { ...moved, port: reader.uint32() }
      else if (field === 3 && wireType === 2) moved = { ...moved, publicKey: reader.bytes() }
      else if (field === 4 && wireType === 2) moved = { ...moved, signature: reader.bytes() }
      else reader.skip(wireType, field)
    }
  } catch (cause) {
    throw new MessageError('message-format', 'a server moved request cannot be read', { cause })
  }
  return moved
}
