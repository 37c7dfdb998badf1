/** Largest CoAP message to a device of today: a buffer of 1152 bytes less 33 (device-protocol.md 1.6). */
export const defaultMaxMessageSize = 1119

/**
 * Largest ciphertext that is accepted. A device fills its buffer of 1152 up to 1134 bytes of plaintext, which is a
 * frame of 1136.
 */
export const defaultMaxInboundFrame = 1152
