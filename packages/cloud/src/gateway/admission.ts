/**
 * Who is let in (device-protocol.md 1.2, step 4): a device with the key that is registered for its id, and with open
 * enrolment also one that was never seen, whose key is kept from then on.
 */
import type { KeyObject } from 'node:crypto'
import { devicePublicKeyFromDer, ecPublicKeyFromDer, isEcPublicKey } from '@aloe/protocol'

/** RSA-1024 on TCP, EC on P-256 on UDP (device-protocol.md 1.1, 2.2). */
export type DeviceKeyKind = 'rsa' | 'ecc'

/** What is known of a device when it asks to be let in. */
export interface KnownKey {
  /** SPKI DER in base64; null or absent when none was ever registered. */
  readonly publicKey?: string | null | undefined
}

export interface AdmissionPolicy {
  /** A device without a registered key is let in, and its key registered. */
  readonly openEnrolment: boolean
  lookup(deviceId: string): KnownKey | undefined
  /** Makes the key durable. Rejects, or leaves another key in place, when somebody else was faster. */
  enrol(deviceId: string, publicKey: Uint8Array): Promise<unknown>
}

export type Admission =
  | {
      readonly ok: true
      /** Always for RSA. An EC key has been parsed and proven by the handshake: to parse it again costs more than all else. */
      readonly publicKey?: KeyObject
      readonly enrolled: boolean
    }
  | { readonly ok: false; readonly step: AdmissionStep; readonly reason: string }

/** Where an admission can fail; these stand beside the steps of the handshake in logs and in the API. */
export type AdmissionStep = 'identify' | 'key'

function refuse(step: AdmissionStep, reason: string): Admission {
  return { ok: false, step, reason }
}

/**
 * Decides over a device that showed its id and (all but the oldest firmware) its public key.
 *
 * Answers at once when the device is registered, so that an ordinary connect costs no trip through the event loop, and
 * with a promise when a key has to be stored first.
 *
 * @param offered SPKI DER of the key that the device presented
 */
export function admit(
  policy: AdmissionPolicy,
  deviceId: string,
  offered: Uint8Array | undefined,
  kind: DeviceKeyKind,
): Admission | Promise<Admission> {
  const known = policy.lookup(deviceId)
  if (known?.publicKey) return admitKnown(known.publicKey, offered, kind)
  if (!policy.openEnrolment) {
    return known
      ? refuse('identify', 'no public key is registered for this device: provision its key')
      : refuse('identify', 'unknown device: provision its public key, or start the cloud with open enrolment')
  }
  if (!offered) return refuse('identify', 'the device sent no public key that could be enrolled')
  return enrol(policy, deviceId, offered, kind)
}

function admitKnown(registered: string, offered: Uint8Array | undefined, kind: DeviceKeyKind): Admission {
  const der = Buffer.from(registered, 'base64')
  if (kind === 'ecc' && offered && der.equals(offered)) return { ok: true, enrolled: false }
  const publicKey = readKey(der, kind)
  if (!publicKey) return refuse('key', `the registered public key is not ${inWords[kind]}`)
  if (offered && !der.equals(offered)) {
    return refuse('key', 'the device presented another public key than the one registered for it')
  }
  return { ok: true, publicKey, enrolled: false }
}

async function enrol(
  policy: AdmissionPolicy,
  deviceId: string,
  offered: Uint8Array,
  kind: DeviceKeyKind,
): Promise<Admission> {
  const publicKey = readKey(offered, kind)
  if (!publicKey) return refuse('key', `the device's public key is not ${inWords[kind]}`)
  try {
    await policy.enrol(deviceId, offered)
  } catch (error) {
    return refuse('key', `the key could not be enrolled: ${error instanceof Error ? error.message : String(error)}`)
  }
  // Two devices may claim the same new id at once: only the one whose key was stored is let in.
  const stored = policy.lookup(deviceId)?.publicKey
  if (!stored || !Buffer.from(stored, 'base64').equals(offered)) {
    return refuse('key', 'another device enrolled under this id at the same moment')
  }
  return { ok: true, publicKey, enrolled: true }
}

const inWords = {
  rsa: 'RSA of 1024 bits, which devices on TCP need: the answer of their handshake has room for no other',
  ecc: 'EC on P-256, which devices on UDP need',
}

function readKey(der: Uint8Array, kind: DeviceKeyKind): KeyObject | undefined {
  try {
    if (kind === 'rsa') return devicePublicKeyFromDer(der)
    return isEcPublicKey(der) ? ecPublicKeyFromDer(der) : undefined
  } catch {
    return undefined
  }
}
