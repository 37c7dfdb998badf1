/** The steps of the DTLS handshake, named so that a failed one explains itself in a log line or an answer of the API. */
export type DtlsHandshakeStep =
  /** Server: what does the client offer? Device: what did the server choose? */
  | 'hello'
  /** Server: wait for the device's raw public key. */
  | 'certificate'
  /** The ephemeral keys; on the device also the server's proof that it is the expected one. */
  | 'key-exchange'
  /** Server: does the device hold the private key of what it presented? */
  | 'certificate-verify'
  /** Did both ends see the same handshake? */
  | 'finished'
  /** The handshake is over; messages flow. */
  | 'open'

/** What a failure at a step of the server usually means and what to look at. */
export const dtlsHandshakeStepHints: Readonly<Record<DtlsHandshakeStep, string>> = {
  hello: 'the client is no device: it does not offer ECDHE-ECDSA-AES128-CCM8 on P-256 with raw public keys',
  certificate:
    'the device stopped after our first flight: does it hold this server key? Or our datagrams did not arrive',
  'key-exchange': 'the device sent no usable ephemeral key',
  'certificate-verify': 'the device could not prove that it holds the private key of the public key it presented',
  finished: 'both ends saw different handshakes: somebody changed it on its way',
  open: 'the handshake succeeded; the connection failed later',
}

/** A server gives a handshake up after this time; devices do after 45 s (device-protocol.md 2.8). */
export const serverHandshakeTimeout = 60_000
export const deviceHandshakeTimeout = 45_000
