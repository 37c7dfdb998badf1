import assert from 'node:assert/strict'
import { createSecretKey } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { fuzzRuns, hex, unhex } from '../test-bytes.ts'
import { CcmCipher, HotCcmCipher, maxHotPlaintext } from './ccm.ts'
import { HotPool, newHeat } from './hot-pool.ts'

const bytes = (size: number) => fc.uint8Array({ minLength: size, maxLength: size })
const ways = { plain: CcmCipher, hot: HotCcmCipher }

for (const [name, Cipher] of Object.entries(ways)) {
  describe(`AES-CCM with a tag of 8 bytes, the ${name} way`, () => {
    // NIST SP 800-38C, example 3: nonce of 12, tag of 8 bytes.
    const key = createSecretKey(Buffer.from('404142434445464748494a4b4c4d4e4f', 'hex'))
    const nonce = unhex('101112131415161718191a1b')
    const aad = unhex('000102030405060708090a0b0c0d0e0f10111213')
    const plaintext = unhex('202122232425262728292a2b2c2d2e2f3031323334353637')
    const sealed = 'e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5484392fbc1b09951'

    it('gives the bytes of NIST SP 800-38C, and gives them again', () => {
      const cipher = new Cipher(key)
      for (let i = 0; i < 3; i++) {
        const out = new Uint8Array(40)
        cipher.seal(nonce, aad, plaintext, out, 5)
        assert.equal(hex(out.subarray(5, 37)), sealed)
        assert.equal(hex(cipher.open(nonce, aad, unhex(sealed)) ?? new Uint8Array()), hex(plaintext))
      }
    })

    it('opens nothing that was changed, and goes on', () => {
      const cipher = new Cipher(key)
      for (let bit = 0; bit < 32 * 8; bit += 7) {
        const forged = unhex(sealed)
        forged[bit >> 3] = (forged[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        assert.equal(cipher.open(nonce, aad, forged), undefined)
      }
      assert.equal(cipher.open(nonce, unhex('00'), unhex(sealed)), undefined)
      assert.ok(cipher.open(nonce, aad, unhex(sealed)))
    })
  })
}

describe('both ways of AES-CCM', () => {
  it('give the same bytes, record after record', () => {
    const record = fc.record({
      nonce: bytes(12),
      aad: fc.uint8Array({ minLength: 1, maxLength: 30 }),
      plaintext: fc.uint8Array({ maxLength: 700 }),
      forged: fc.boolean(),
    })
    fc.assert(
      fc.property(bytes(16), fc.array(record, { minLength: 1, maxLength: 8 }), (secret, records) => {
        const key = createSecretKey(secret)
        const plain = new CcmCipher(key)
        const hot = new HotCcmCipher(key)
        for (const { nonce, aad, plaintext, forged } of records) {
          const a = new Uint8Array(plaintext.length + 8)
          const b = new Uint8Array(plaintext.length + 8)
          plain.seal(nonce, aad, plaintext, a, 0)
          hot.seal(nonce, aad, plaintext, b, 0)
          assert.deepEqual(a, b)
          if (forged) a[a.length - 1] = (a[a.length - 1] ?? 0) ^ 1
          assert.deepEqual(plain.open(nonce, aad, a), hot.open(nonce, aad, a))
          assert.equal(hot.open(nonce, aad, a) === undefined, forged)
        }
      }),
      { numRuns: fuzzRuns },
    )
  })

  it('agree up to the largest plaintext of the hot way', () => {
    const key = createSecretKey(new Uint8Array(16))
    const plaintext = new Uint8Array(maxHotPlaintext).fill(7)
    const a = new Uint8Array(maxHotPlaintext + 8)
    const b = new Uint8Array(maxHotPlaintext + 8)
    new CcmCipher(key).seal(new Uint8Array(12), new Uint8Array(30), plaintext, a, 0)
    new HotCcmCipher(key).seal(new Uint8Array(12), new Uint8Array(30), plaintext, b, 0)
    assert.deepEqual(a, b)
  })
})

describe('the pool of hot sessions', () => {
  const member = () => {
    const one = { heat: newHeat(), hot: false, touch: (pool: HotPool) => pool.touch(one.heat, one.member) } as {
      heat: ReturnType<typeof newHeat>
      hot: boolean
      touch(pool: HotPool): void
      member: { heat(): void; cool(): void }
    }
    one.member = {
      heat: () => {
        one.hot = true
      },
      cool: () => {
        one.hot = false
        one.heat.place = undefined
      },
    }
    return one
  }

  it('takes the busy ones and not those that come now and then', () => {
    const pool = new HotPool(4)
    const busy = [member(), member()]
    const rare = Array.from({ length: 100 }, member)
    for (let round = 0; round < 20; round++) {
      for (const one of rare) {
        for (const other of busy) other.touch(pool)
        one.touch(pool)
      }
    }
    assert.deepEqual(
      busy.map((one) => one.hot),
      [true, true],
    )
    assert.ok(!rare.some((one) => one.hot))
  })

  it('lets go of those that were idle for a while, however few they are', () => {
    const pool = new HotPool(8)
    const idle = member()
    const busy = [member(), member()]
    for (const one of [idle, ...busy]) for (let i = 0; i < 4; i++) one.touch(pool)
    pool.coolIdle()
    for (const one of busy) one.touch(pool)
    pool.coolIdle()
    assert.deepEqual(
      [idle, ...busy].map((one) => one.hot),
      [false, true, true],
    )
    assert.equal(pool.hotCount, 2)
    pool.coolIdle()
    assert.equal(pool.hotCount, 0)
    for (let i = 0; i < 4; i++) idle.touch(pool)
    assert.ok(idle.hot)
  })

  it('never has more than its size, gives places to whoever is busy now, and takes them back at the end', () => {
    const pool = new HotPool(2)
    const members = Array.from({ length: 6 }, member)
    for (const one of members) for (let i = 0; i < 10; i++) one.touch(pool)
    assert.equal(members.filter((one) => one.hot).length, 2)
    assert.ok(members.at(-1)?.hot)
    for (const one of members) pool.leave(one.heat, one.member)
    assert.equal(pool.hotCount, 0)
    assert.ok(!members.some((one) => one.hot))
  })
})
