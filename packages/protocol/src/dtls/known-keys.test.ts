import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'
import { describe, it } from 'node:test'
import {
  ecPublicKeyDer,
  ecPublicKeyDerOfPoint,
  ecPublicKeyFromDer,
  generateEphemeralKey,
  sharedSecret,
} from './ec-keys.ts'
import { KnownKeys } from './known-keys.ts'

const text = Buffer.from('all messages so far')
const pair = () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { publicKey: ecPublicKeyDer(privateKey), signature: sign('sha256', text, privateKey) }
}

describe('known keys', () => {
  it('verify the same, whether they were kept or not', () => {
    const keys = new KnownKeys(2)
    const one = pair()
    const other = pair()
    for (let again = 0; again < 3; again++) {
      assert.equal(keys.verify(one.publicKey, text, one.signature), true)
      assert.equal(keys.verify(one.publicKey, text, other.signature), false)
    }
    assert.equal(keys.size, 1)
  })

  it('are not displaced by whoever cannot prove his', () => {
    const keys = new KnownKeys(1)
    const one = pair()
    keys.verify(one.publicKey, text, one.signature)
    for (let n = 0; n < 3; n++) assert.equal(keys.verify(pair().publicKey, text, one.signature), false)
    assert.equal(keys.size, 1)
  })

  it('are bounded, and kept by their last use', () => {
    const keys = new KnownKeys(3)
    for (let n = 0; n < 6; n++) {
      const { publicKey, signature } = pair()
      keys.verify(publicKey, text, signature)
      assert.equal(keys.size, Math.min(n + 1, 3))
    }
  })

  it('refuse what is no point of the curve', () => {
    const wrong = ecPublicKeyDerOfPoint(Uint8Array.from({ length: 65 }, (_, i) => (i === 0 ? 4 : 1)))
    assert.throws(() => new KnownKeys().verify(wrong, text, pair().signature), { code: 'ec-key' })
  })
})

describe('a key of one handshake', () => {
  it('has the point of its private key, with leading zeros too', () => {
    // One in 128 has a coordinate that begins with a zero byte.
    for (let n = 0; n < 300; n++) {
      const { privateKey, point } = generateEphemeralKey()
      assert.equal(point.length, 65)
      assert.equal(point[0], 4)
      const der = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
      assert.deepEqual(Buffer.from(point), der.subarray(-65))
    }
  })

  it('derives the same at both ends', () => {
    const one = generateEphemeralKey()
    const other = generateEphemeralKey()
    assert.deepEqual(sharedSecret(one, other.point), sharedSecret(other, one.point))
    assert.equal(sharedSecret(one, new Uint8Array(65).fill(1)), undefined)
    const signature = sign('sha256', text, one.privateKey)
    assert.equal(verify('sha256', text, ecPublicKeyFromDer(ecPublicKeyDerOfPoint(one.point)), signature), true)
  })
})
