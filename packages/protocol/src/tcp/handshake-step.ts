/**
 * The steps of the TCP handshake (device-protocol.md 1.2), named so that a failed one explains itself in a log line or
 * an answer of the API. The wire says nothing: neither end tells the other why it closes.
 */
export type HandshakeStep =
  /** Device: wait for the server's nonce. */
  | 'nonce'
  /** Server: wait for the device's encrypted identity. */
  | 'request'
  /** Open what the other end encrypted. */
  | 'decrypt'
  /** Server: is this a device that may come in? */
  | 'identify'
  /** Server: is the presented or registered key one that this device can use? */
  | 'key'
  /** Device: wait for the session's credentials. Server: encrypt and sign them. */
  | 'credentials'
  /** Device: was the answer signed by the expected server? */
  | 'signature'
  /** Server: wait for the first message, which proves that the device could open the credentials. */
  | 'hello'
  /** The handshake is over; messages flow. */
  | 'open'

/** What a failure at a step of the server usually means and what to look at. */
export const handshakeStepHints: Readonly<Record<HandshakeStep, string>> = {
  nonce: 'the server sent no complete nonce: is this the TCP port of a device cloud?',
  request: 'the device connected but did not send its identity: a port scan, a device for UDP, or a bad link',
  decrypt: 'the message was not made for this key or not in this handshake: does the device hold this server key?',
  identify: 'the device is not known here or may not come in: register its id and public key',
  key: 'the key of the device is not the registered one, or not RSA-1024: register its present public key',
  credentials: 'the credentials of the session could not be made, or did not arrive',
  signature: 'the answer was not signed by the expected server: does the device hold this server key?',
  hello: 'the device did not go on after the credentials: it could not open them or did not accept the signature',
  open: 'the handshake succeeded; the connection failed later',
}

/** Longest wait for the bytes of one step; devices wait as long (device-protocol.md 6.1). */
export const handshakeReadTimeout = 20_000
/** Longest time from connection to first message that a server grants. */
export const handshakeTimeout = 30_000
