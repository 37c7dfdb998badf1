import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32, sha256, sha256Hex } from './checksums.ts'

const digits = new TextEncoder().encode('123456789')

describe('checksums', () => {
  it('has the CRC-32 of IEEE 802.3', () => {
    assert.equal(crc32(digits), 0xcbf43926)
    assert.equal(crc32(new Uint8Array()), 0)
  })

  it('has SHA-256 as bytes and as hexadecimal digits', () => {
    const expected = '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225'
    assert.equal(sha256Hex(digits), expected)
    assert.equal(Buffer.from(sha256(digits)).toString('hex'), expected)
  })
})
