/** Public keys of devices, as they come in: PEM from tools, SPKI DER from the handshake. */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { ecPublicKeyFromDer, isEcPublicKey } from '@aloe/protocol'
import { DeviceError } from './device-error.ts'

export type KeyAlgorithm = 'rsa' | 'ecc'

export interface DevicePublicKey {
  /** SPKI DER in base64, in Node's own encoding, so that equal keys are equal strings. */
  readonly spki: string
  readonly algorithm: KeyAlgorithm
}

/** Longer input is no key that a device has (RSA-4096 in PEM is about 800 characters). */
const maximumLength = 4_096

/**
 * Reads a public key: PEM text ("BEGIN PUBLIC KEY"), or SPKI DER bytes.
 *
 * @throws DeviceError 'bad-key' when it is not a public key of a kind that devices have: RSA of 1024 to 4096 bits (TCP;
 *   Device OS makes 1024), or an EC key on P-256 (DTLS)
 */
export function readPublicKey(input: string | Uint8Array): DevicePublicKey {
  if (input.length > maximumLength) throw new DeviceError('bad-key', 'The public key is too long')
  let key: KeyObject
  try {
    // The form of every device on UDP: read in a third of the time, and written as it came.
    if (typeof input !== 'string' && isEcPublicKey(input)) {
      ecPublicKeyFromDer(input)
      return { spki: Buffer.from(input).toString('base64'), algorithm: 'ecc' }
    }
    // A private key would be accepted by createPublicKey too, but it must never be sent to a cloud.
    if (typeof input === 'string' && /PRIVATE KEY/.test(input)) throw new Error('a private key')
    key =
      typeof input === 'string'
        ? createPublicKey({ key: input, format: 'pem' })
        : createPublicKey({ key: Buffer.from(input), format: 'der', type: 'spki' })
  } catch (error) {
    throw new DeviceError('bad-key', `Not a public key in PEM or SPKI form: ${(error as Error).message}`)
  }
  return { spki: key.export({ format: 'der', type: 'spki' }).toString('base64'), algorithm: algorithmOf(key) }
}

/** The key of a record as node:crypto takes it. */
export function keyObject(spki: string): KeyObject {
  return createPublicKey({ key: Buffer.from(spki, 'base64'), format: 'der', type: 'spki' })
}

function algorithmOf(key: KeyObject): KeyAlgorithm {
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'rsa' && modulusLength >= 1_024 && modulusLength <= 4_096) return 'rsa'
  if (key.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') return 'ecc'
  throw new DeviceError(
    'bad-key',
    `A device key is RSA of 1024 to 4096 bits or EC on P-256, not ${key.asymmetricKeyType}`,
  )
}
