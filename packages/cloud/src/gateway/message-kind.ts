/** What a message of a device is, told from its first bytes: enough to decide what it may do to a session. */

/**
 * `hello` and `goodbye` begin and end a connection; `answer` is an acknowledgement or a reset, which a device may also
 * send long after it said goodbye; `other` is everything that only a device sends that is there.
 */
export type MessageKind = 'hello' | 'goodbye' | 'answer' | 'other'

const post = 0x02
const helloPath = 0x68
const goodbyePath = 0x78

/** @param message one CoAP message; Uri-Path is the first option in all that devices send (device-protocol.md 3.1) */
export function messageKind(message: Uint8Array): MessageKind {
  const first = message[0] ?? 0
  if ((first & 0x20) !== 0) return 'answer'
  if (message[1] !== post) return 'other'
  const path = 4 + (first & 0x0f)
  if (message[path] !== 0xb1) return 'other'
  const letter = message[path + 1]
  if (letter === helloPath) return 'hello'
  return letter === goodbyePath ? 'goodbye' : 'other'
}

/** An empty confirmable message: what a device says first when it resumes a session (device-protocol.md 2.6.4, 3.6). */
export function isPing(message: Uint8Array): boolean {
  return message[1] === 0 && isConfirmable(message)
}

export function isConfirmable(message: Uint8Array): boolean {
  return ((message[0] ?? 0) & 0x30) === 0
}

export function messageIdOf(message: Uint8Array): number {
  return ((message[2] ?? 0) << 8) | (message[3] ?? 0)
}
