import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Platform, platformByName } from '@aloe/firmware'
import { dialectOf, twinHello } from './dialect.ts'

function platform(name: string): Platform {
  const found = platformByName(name)
  assert.ok(found)
  return found
}

describe('the dialect of a board', () => {
  it('has the flags of its Device OS', () => {
    const flags = (name: string, system: number, bootloader = 3_000) =>
      dialectOf(platform(name), { system, bootloader }).flags
    assert.equal(flags('boron', 6_200), 0x00f6)
    assert.equal(flags('boron', 2_302, 500), 0x0036)
    assert.equal(flags('boron', 1_213), 0x0006)
    assert.equal(flags('photon', 3_302), 0x0036)
    assert.equal(flags('photon', 109), 0)
    assert.equal(flags('electron', 312), 0x0002)
  })

  it('goes by TCP or UDP, and names a moved session as its Device OS does', () => {
    const dialect = (name: string, system: number) => {
      const { transport, dtls } = dialectOf(platform(name), { system, bootloader: 0 })
      return [transport, dtls]
    }
    assert.deepEqual(dialect('photon', 3_302), ['tcp', '3.1'])
    assert.deepEqual(dialect('electron', 1_213), ['udp', '0.6'])
    assert.deepEqual(dialect('argon', 4_200), ['udp', '4.0'])
  })

  it('describes its modules in JSON, and from 5.5 on in protobuf', () => {
    const describes = (system: number) => dialectOf(platform('p2'), { system, bootloader: 0 }).systemDescribe
    assert.equal(describes(5_410), 'json')
    assert.equal(describes(5_501), 'protobuf')
  })

  it('says its sizes from 3.0 on, and its product as its platform', () => {
    const hello = (system: number) => {
      const boron = platform('boron')
      return twinHello(boron, dialectOf(boron, { system, bootloader: 1_100 }), system, 4, false)
    }
    assert.equal(hello(2_302).system, undefined)
    assert.deepEqual(hello(3_302).system, {
      version: 3_302,
      maxMessageSize: 1_152,
      maxBinarySize: 1_536_000,
      otaChunkSize: 1_024,
    })
    assert.deepEqual([hello(3_302).productId, hello(3_302).productVersion], [13, 4])
  })
})
