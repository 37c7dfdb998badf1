/** Why a datagram or a record was left without effect. All are ordinary on an open port; they are counted, not logged. */
const dropReasons = [
  /** Below 13 bytes: a keep-alive in clear, or noise (device-protocol.md 2.5). */
  'short',
  /** No record, or something behind the records that is none. */
  'malformed',
  /** A record of type 25 with the id of no session here (device-protocol.md 2.7). */
  'unknown-cid',
  /** A protected record without id from an address without session. */
  'unknown-address',
  /** A record of the old moved form of a device without session. */
  'unknown-device',
  'replay',
  'mac',
  'epoch',
  'too-large',
  /** A cookie that is wrong or too old. */
  'cookie',
  /** Too many handshakes under way, in total or of one host. */
  'half-open',
  /** Too many sessions. */
  'sessions',
  /** More would have been sent to an address that has not shown that it is real. */
  'amplification',
  /** A handshake message that fits nowhere. */
  'handshake',
  /** Protected content that is no message: a handshake or change of cipher within a session. */
  'content',
  /** Not sent: the session's record numbers ran out before it was stored again. */
  'unsaved',
] as const

export type DropReason = (typeof dropReasons)[number]

/** How often each reason came up since the start. */
export type DropCounters = Record<DropReason, number>

export function newDropCounters(): DropCounters {
  return Object.fromEntries(dropReasons.map((reason) => [reason, 0])) as DropCounters
}
