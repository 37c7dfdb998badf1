import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { hmacSha256, prf } from './prf.ts'

const bytes = (maxLength: number) => fc.uint8Array({ maxLength })

/** P_SHA256 of RFC 5246 5, as it is written there. */
function expected(secret: Uint8Array, label: string, seed: Uint8Array, size: number): Buffer {
  const hmac = (...parts: Uint8Array[]) => createHmac('sha256', secret).update(Buffer.concat(parts)).digest()
  const labelled = Buffer.concat([Buffer.from(label), seed])
  let out = Buffer.alloc(0)
  for (let a = hmac(labelled); out.length < size; a = hmac(a)) out = Buffer.concat([out, hmac(a, labelled)])
  return out.subarray(0, size)
}

describe('the key schedule', () => {
  it('is that of RFC 5246 for every secret, label, seed and size', () => {
    const label = fc.constantFrom('master secret', 'key expansion', 'client finished', 'server finished')
    fc.assert(
      fc.property(bytes(64), label, bytes(64), fc.nat(130), (secret, text, seed, size) => {
        assert.deepEqual(Buffer.from(prf(secret, text, seed, size)), expected(secret, text, seed, size))
      }),
    )
  })

  it('refuses what its memory has no place for', () => {
    assert.throws(() => prf(new Uint8Array(65), 'x', new Uint8Array(), 1), RangeError)
    assert.throws(() => prf(new Uint8Array(64), 'x', new Uint8Array(128), 1), RangeError)
    assert.throws(() => hmacSha256(new Uint8Array(65)), RangeError)
  })

  it('has the HMAC of RFC 2104, of long texts too', () => {
    fc.assert(
      fc.property(bytes(64), bytes(20), bytes(400), (secret, one, other) => {
        const mac = createHmac('sha256', secret).update(one).update(other).digest()
        assert.deepEqual(Buffer.from(hmacSha256(secret, one, other)), mac)
      }),
    )
  })
})
