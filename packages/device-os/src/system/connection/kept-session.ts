/** How a session lies in flash: the channel's own form, with the id of the next CoAP message in front. */

const version = 1

/**
 * Message ids that a session may have used since it was stored last: the channel stores it again long before it has sent
 * so many records, and no message needs less than one.
 */
export const messageIdReserve = 2_048

export interface KeptSession {
  readonly nextMessageId: number
  /** What `DtlsClient` stores. */
  readonly session: Uint8Array
}

export function encodeKept(session: Uint8Array, nextMessageId: number): Uint8Array {
  const bytes = new Uint8Array(3 + session.length)
  bytes[0] = version
  bytes[1] = nextMessageId >>> 8
  bytes[2] = nextMessageId
  bytes.set(session, 3)
  return bytes
}

/** Undefined when it is of another version. */
export function decodeKept(bytes: Uint8Array): KeptSession | undefined {
  const [first, high = 0, low = 0] = bytes
  if (first !== version || bytes.length < 3) return undefined
  return { nextMessageId: (high << 8) | low, session: bytes.subarray(3) }
}
