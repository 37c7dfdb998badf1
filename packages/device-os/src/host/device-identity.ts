import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import type { Platform } from '@aloe/firmware'
import type { Transport } from '../flash/device-config.ts'

/** How a Linux device's id was found: here, a serial number that was made for it (modules-and-platforms.md 2.1). */
const serialNumber = '05'

/**
 * A new device id: 24 hex characters. Linux devices start with `42`, their platform and where the rest is from; what is
 * left is random.
 */
export function newDeviceId(platform: Platform): string {
  return `42${platform.id.toString(16).padStart(2, '0')}${serialNumber}${randomBytes(9).toString('hex')}`
}

/** A new device key: an RSA-1024 private key as PKCS#1 DER, as the TCP handshake wants it (device-protocol.md 1.2). */
export function newDeviceKey(): Uint8Array {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
  return new Uint8Array(privateKey.export({ type: 'pkcs1', format: 'der' }))
}

/** A new device key for UDP: an EC P-256 private key as SEC1 DER (device-protocol.md 2.2). */
export function newUdpDeviceKey(): Uint8Array {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return new Uint8Array(privateKey.export({ type: 'sec1', format: 'der' }))
}

/** The public half of a device key, as PEM (SPKI): what a cloud registers. */
export function devicePublicKeyPem(deviceKey: Uint8Array, transport: Transport = 'tcp'): string {
  const type = transport === 'tcp' ? 'pkcs1' : 'sec1'
  const key = createPublicKey(createPrivateKey({ key: Buffer.from(deviceKey), format: 'der', type }))
  return key.export({ type: 'spki', format: 'pem' }).toString()
}
