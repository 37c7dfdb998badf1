import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, it } from 'node:test'
import { serverKeyBlob } from './server-key-blob.ts'

const rsa = spki(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'der' }))
const ec = spki(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' }))

function spki(der: Buffer): Uint8Array {
  return new Uint8Array(der)
}

describe('the server key of a board (cloud-api.md 2.2)', () => {
  it('has 512 bytes for TCP: key, address at 384, port at 450', () => {
    const blob = serverKeyBlob('tcp', rsa, '192.168.1.10', 5683)
    assert.equal(blob.length, 512)
    assert.deepEqual(blob.subarray(0, rsa.length), rsa)
    assert.ok(blob.subarray(rsa.length, 384).every((byte) => byte === 0xff))
    assert.deepEqual([...blob.subarray(384, 391)], [0x00, 0x04, 192, 168, 1, 10, 0xff])
    assert.deepEqual([...blob.subarray(450, 452)], [0x16, 0x33])
    assert.ok(blob.subarray(452).every((byte) => byte === 0xff))
  })

  it('has 320 bytes for UDP: key, address at 192, port at 258', () => {
    const blob = serverKeyBlob('udp', ec, 'cloud.example.com', 5684)
    assert.equal(blob.length, 320)
    assert.deepEqual(blob.subarray(0, ec.length), ec)
    assert.deepEqual([...blob.subarray(192, 194)], [0x01, 17])
    assert.equal(new TextDecoder().decode(blob.subarray(194, 211)), 'cloud.example.com')
    assert.equal(blob[211], 0xff)
    assert.deepEqual([...blob.subarray(258, 260)], [0x16, 0x34])
  })

  it('refuses what does not fit', () => {
    assert.throws(() => serverKeyBlob('udp', rsa, '10.0.0.1', 5684), /294 bytes; the udp layout has room for 192/)
    assert.throws(() => serverKeyBlob('tcp', rsa, `${'a'.repeat(65)}.de`, 5683), /too long/)
    assert.throws(() => serverKeyBlob('tcp', rsa, 'not a host', 5683), /neither an IPv4 address nor a domain name/)
    assert.throws(() => serverKeyBlob('tcp', rsa, '::1', 5683), /neither an IPv4 address nor a domain name/)
  })
})
