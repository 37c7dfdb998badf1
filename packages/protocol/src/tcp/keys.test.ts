import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, it } from 'node:test'
import { ProtocolError } from '../protocol-error.ts'
import { hex } from '../test-bytes.ts'
import {
  checkServerKey,
  devicePrivateKeyDer,
  devicePublicKeyDer,
  devicePublicKeyFromDer,
  generateDeviceKey,
  generateServerKey,
  isDevicePublicKey,
  loadDeviceKey,
  loadServerKey,
  serverPublicKeyDer,
  serverPublicKeyFromDer,
} from './keys.ts'

const withCode = (code: string) => (error: unknown) => error instanceof ProtocolError && error.code === code

describe('the keys of the TCP transport', async () => {
  const serverKey = await generateServerKey()
  const deviceKey = await generateDeviceKey()

  it('have the forms that devices take apart by fixed offsets', () => {
    const server = serverPublicKeyDer(serverKey)
    assert.equal(server.length, 294)
    assert.equal(hex(server.subarray(-5)), '0203010001')
    const device = devicePublicKeyDer(deviceKey)
    assert.equal(device.length, 162)
    assert.equal(hex(device.subarray(0, 29)), '30819f300d06092a864886f70d010101050003818d0030818902818100')
    // The device rebuilds its public key from byte 11 of the private one.
    const stored = devicePrivateKeyDer(deviceKey)
    assert.ok(stored.length <= 612)
    assert.equal(hex(stored.subarray(11, 139)), hex(device.subarray(29, 157)))
  })

  it('survive export and load, in every form and with the rest of their flash behind them', () => {
    const pem = serverKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    assert.ok(loadServerKey(pem).equals(serverKey))
    assert.ok(loadServerKey(serverKey.export({ type: 'pkcs8', format: 'der' })).equals(serverKey))
    assert.ok(loadServerKey(serverKey.export({ type: 'pkcs1', format: 'der' })).equals(serverKey))
    const flash = new Uint8Array(768).fill(0xff)
    flash.set(serverPublicKeyDer(serverKey))
    assert.deepEqual(serverPublicKeyDer(serverPublicKeyFromDer(flash)), serverPublicKeyDer(serverKey))
    const stored = new Uint8Array(612).fill(0xff)
    stored.set(devicePrivateKeyDer(deviceKey))
    assert.ok(loadDeviceKey(stored).equals(deviceKey))
    const publicKey = devicePublicKeyFromDer(devicePublicKeyDer(deviceKey))
    assert.deepEqual(devicePublicKeyDer(publicKey), devicePublicKeyDer(deviceKey))
  })

  it('are refused when a device could not use them', () => {
    assert.throws(() => serverPublicKeyDer(deviceKey), withCode('server-key'))
    assert.throws(() => checkServerKey(deviceKey), withCode('server-key'))
    assert.throws(() => loadServerKey('no key'), withCode('server-key'))
    assert.throws(() => loadServerKey(Uint8Array.of(0x30, 0x82, 1, 2, 3)), withCode('server-key'))
    assert.throws(() => loadServerKey(devicePrivateKeyDer(deviceKey)), withCode('server-key'))
    assert.throws(() => serverPublicKeyFromDer(new Uint8Array(294)), withCode('server-key'))
    assert.throws(() => loadDeviceKey(new Uint8Array(612).fill(0xff)), withCode('device-key'))
    assert.throws(() => devicePublicKeyDer(serverKey), withCode('device-key'))
    assert.throws(() => devicePublicKeyFromDer(new Uint8Array(162)), withCode('device-key'))
    const exponent3 = generateKeyPairSync('rsa', { modulusLength: 1024, publicExponent: 3 })
    assert.throws(() => devicePublicKeyDer(exponent3.publicKey), withCode('device-key'))
    const elliptic = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
    assert.throws(() => serverPublicKeyDer(elliptic.privateKey), withCode('server-key'))
    assert.equal(isDevicePublicKey(serverPublicKeyDer(serverKey)), false)
  })
})
