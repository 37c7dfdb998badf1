/** How a device goes on in a session that the cloud has kept (device-protocol.md 2.6.4, 3.4.3). */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encodeEmptyAck, encodeReset } from '../coap/codec.ts'
import { hex, unhex, utf8 } from '../test-bytes.ts'
import type { Millis } from '../time.ts'
import type { AnnouncedPart } from './device-options.ts'
import { DeviceSession } from './device-session.ts'

function resumed() {
  const sent: string[] = []
  const told: string[] = []
  const session = new DeviceSession({
    transport: 'udp',
    random: (size) => new Uint8Array(size),
    firstMessageId: 0x0100,
    hello: {
      productId: 65535,
      productVersion: 65535,
      flags: 0xb6,
      platformId: 43,
      deviceId: '422b00000000000000000001',
    },
    handlers: {
      send: (message) => sent.push(hex(message)),
      ready: () => told.push('ready'),
      describe: () => utf8('{}'),
      call: (name) => told.push(`call ${name}`) > 0,
      variable: () => undefined,
      event: () => undefined,
      time: () => undefined,
      signal: () => undefined,
      closed: (error) => told.push(error.code),
    },
  })
  const run = (until: Millis) => {
    for (let at = session.nextDeadline(); at !== undefined && at <= until; at = session.nextDeadline()) session.poll(at)
  }
  session.resume(0)
  return { session, sent, told, run }
}

describe('a resumed session of a device', () => {
  it('begins with a ping instead of a Hello, and is ready with its acknowledgement', () => {
    const { session, sent, told } = resumed()
    assert.deepEqual(sent, ['40000100'])
    assert.equal(session.ready, false)
    session.receive(encodeEmptyAck(0x0100), 40)
    assert.deepEqual([session.ready, told], [true, ['ready']])
    assert.equal(session.nextMessageId, 0x0101)
  })

  it('is ready with whatever the cloud says first', () => {
    const { session, sent, told } = resumed()
    session.receive(unhex('4102500523b166036c6564426f6e'), 40)
    assert.deepEqual(told, ['ready', 'call led'])
    assert.equal(sent.at(-1), '60005005')
  })

  it('repeats the ping, and ends after 30 s of silence', () => {
    const { sent, told, run } = resumed()
    run(29_999)
    assert.deepEqual(told, [])
    assert.ok(sent.length >= 3)
    assert.ok(sent.every((message) => message === '40000100'))
    run(30_000)
    assert.deepEqual(told, ['ping-timeout'])
  })

  it('ends at a reset', () => {
    const { session, told } = resumed()
    session.receive(encodeReset(0x0100), 40)
    assert.deepEqual(told, ['message-reset'])
  })

  it('says only what the cloud does not know', () => {
    const { session, sent } = resumed()
    session.receive(encodeEmptyAck(0x0100), 40)
    sent.length = 0
    session.announce(
      { updatesEnabled: true, updatesForced: false, system: false, time: false, describe: false, subscribe: false },
      50,
    )
    assert.equal(sent.length, 2)
    assert.ok(sent.every((message) => message.startsWith('4002') && message.includes(hex(utf8('updates')))))
  })

  it('tells which parts the cloud has taken, each when all of it is acknowledged', () => {
    const { session, sent } = resumed()
    session.receive(encodeEmptyAck(0x0100), 40)
    const taken: AnnouncedPart[] = []
    const from = sent.length
    session.announce({ time: false, subscriptions: [{ prefix: 'weather' }], taken: (part) => taken.push(part) }, 50)
    const ids = sent.slice(from).map((message) => Number.parseInt(message.slice(4, 8), 16))
    assert.equal(ids.length, 5)
    for (const id of ids.slice(0, 4)) session.receive(encodeEmptyAck(id), 60)
    assert.deepEqual(taken, ['system', 'application'])
    session.receive(encodeEmptyAck(ids[4] ?? 0), 60)
    assert.deepEqual(taken, ['system', 'application', 'subscriptions'])
  })

  it('does not count a refused subscription as taken', () => {
    const { session, sent } = resumed()
    session.receive(encodeEmptyAck(0x0100), 40)
    const taken: AnnouncedPart[] = []
    const from = sent.length
    session.announceApplication([], 50, { describe: false, taken: (part) => taken.push(part) })
    const ids = sent.slice(from).map((message) => message.slice(4, 8))
    session.receive(unhex(`6000${ids[0]}`), 60)
    session.receive(unhex(`6080${ids[1]}`), 60)
    assert.deepEqual(taken, [])
  })
})
