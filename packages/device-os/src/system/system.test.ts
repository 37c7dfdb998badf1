import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { decodeCbor } from '@aloe/protocol'
import { colorAt } from '../hal/led-state.ts'
import { type TestKeys, testKeys, world } from './test-device.ts'

let keys: TestKeys
before(async () => {
  keys = await testKeys()
})

const application = `
const { Particle, System, Log, INT } = require('device-os')
let counter = 0
exports.setup = () => {
  Particle.function('add', (text) => { counter += Number(text); return counter })
  Particle.function('slow', async () => { await require('device-os').delay(500); return 7 })
  Particle.variable('counter', () => counter, INT)
  Particle.variable('name', 'aloe')
  Particle.variable('half', 0.5)
  Particle.variable('on', true)
  Particle.subscribe('weather', async (name, data) => { await Particle.publish('heard', name + ':' + data) })
}
`

describe('the system and its cloud', () => {
  it('connects, announces what it is, and says goodbye', async () => {
    const there = world(keys)
    there.listen()
    const device = await there.device({ application })
    const cloud = await there.connected()
    assert.equal(device.system.cloudStatus, 'connected')
    assert.equal(cloud.hello?.platformId, 43)
    assert.equal(cloud.hello?.system?.version, 1000)
    assert.equal(cloud.last('system')?.describe.modules.length, 4)
    assert.deepEqual(cloud.last('application'), {
      kind: 'application',
      functions: ['add', 'slow'],
      variables: { counter: 'int32', name: 'string', half: 'double', on: 'bool' },
    })
    assert.deepEqual(cloud.said, [
      'spark/device/last_reset=power_down',
      'particle/device/updates/enabled=true',
      'particle/device/updates/forced=false',
    ])
    assert.deepEqual(
      cloud.session.subscriptions.map(({ prefix }) => prefix),
      ['particle', 'spark', 'weather'],
    )
    assert.equal(device.system.led().words, 'breathing cyan')
    await device.system.stop(true)
    assert.deepEqual(cloud.goodbye, { cloudReason: 5, resetReason: 40 })
    assert.equal(cloud.open, false)
  })

  it('answers functions and variables of every type', async () => {
    const there = world(keys)
    there.listen()
    const device = await there.device({ application })
    const cloud = await there.connected()
    const answers = Promise.all([
      cloud.call('add', '5'),
      cloud.call('slow', ''),
      cloud.read('name', 'string'),
      cloud.read('half', 'double'),
      cloud.read('on', 'bool'),
    ])
    await there.clock.advance(1_000)
    assert.deepEqual(await answers, [{ ok: true, value: 5 }, { ok: true, value: 7 }, 'aloe', 0.5, true])
    const counter = cloud.read('counter', 'int32')
    await there.clock.advance(10)
    assert.equal(await counter, 5)
    const missing = cloud.read('nothing', 'int32')
    const unknown = cloud.call('nothing', '')
    await there.clock.advance(5_000)
    assert.equal(await missing, 'not-found')
    assert.equal((await unknown).ok, false)
    await device.system.stop(false)
  })

  it('hears events by prefix and publishes', async () => {
    const there = world(keys)
    there.listen()
    const device = await there.device({ application })
    const cloud = await there.connected()
    assert.equal(cloud.deliver('weather/today', 'sun'), true)
    assert.equal(cloud.deliver('whatever', 'no'), false)
    await there.clock.advance(100)
    assert.equal(cloud.said.at(-1), 'heard=weather/today:sun')
    await device.system.stop(false)
  })

  it('publishes structured data as CBOR, and lets at most four events a second out', async () => {
    const there = world(keys)
    there.listen()
    const device = await there.device({
      version: '2.0.0',
      application: `
const { Particle, waitUntil, Log, delay } = require('device-os')
exports.setup = async () => {
  await waitUntil(Particle.connected)
  const results = []
  results.push(await Particle.publish('data', { t: 21.5, on: [true] }))
  for (let i = 0; i < 5; i++) results.push(await Particle.publish('n', String(i)))
  results.push(await Particle.publish('spark/no', ''), await Particle.publish('long', 'x'.repeat(1025)))
  await delay(1000)
  results.push(await Particle.publish('later', 'x', 300, 'WITH_ACK'))
  Log.info('results %j', results)
}`,
    })
    const cloud = await there.connected(2_000)
    const data = cloud.events.find(({ name }) => name === 'data')
    assert.equal(data?.contentType, 65001)
    assert.equal(JSON.stringify(decodeCbor(data?.data ?? new Uint8Array())), '{"t":21.5,"on":[true]}')
    assert.equal(cloud.events.filter(({ name }) => name === 'n').length, 3)
    const later = cloud.events.find(({ name }) => name === 'later')
    assert.deepEqual([later?.ttl, later?.confirmable], [300, true])
    assert.deepEqual(
      device.logs.map(({ category, message }) => [category, message]),
      [['app', 'results [true,true,true,true,false,false,false,false,true]']],
    )
    await device.system.stop(false)
  })

  it('takes the time from the cloud', async () => {
    const there = world(keys)
    there.listen()
    const device = await there.device({
      version: '2.0.0',
      application: `
const { Particle, Time, System, time_changed, Log, waitUntil } = require('device-os')
exports.setup = async () => {
  Log.info(String(Time.isValid()), String(Time.year()))
  System.on(time_changed, (event, how) => Log.info('%d %d %s', event, how, Time.format(Time.now(), '%Y-%m-%d')))
  await waitUntil(Time.isValid)
  Log.info(String(await Particle.syncTime()), String(Particle.timeSyncedLast() > 0))
}`,
    })
    await there.connected(1_000)
    assert.deepEqual(
      device.logs.map(({ message }) => message),
      ['false 2000', '16384 1 2023-11-14', '16384 1 2023-11-14', 'true true'],
    )
    assert.equal(Math.floor(device.hal.unixTime() ?? 0), 1_700_000_001)
    await device.system.stop(false)
  })

  it('answers metrics, and sends them when the application says so', async () => {
    const there = world(keys)
    there.listen()
    const device = await there.device({
      version: '1.1.0',
      application: `
const { Particle, waitUntil } = require('device-os')
exports.setup = async () => { await waitUntil(Particle.connected); await Particle.publishVitals(10) }`,
    })
    const cloud = await there.connected(25_000)
    const sent = cloud.describes.filter(({ kind }) => kind === 'metrics')
    assert.equal(sent.length, 3)
    cloud.describe('metrics')
    await there.clock.advance(100)
    const vitals = Object.fromEntries(cloud.last('metrics')?.vitals.map(({ name, value }) => [name, value]) ?? [])
    assert.equal(vitals['cloud:stat'], 2)
    assert.equal(vitals['sys:reset'], 40)
    assert.ok(Number(vitals['sys:uptime']) >= 25)
    await device.system.stop(false)
  })

  it('shows the rainbow while the cloud signals', async () => {
    const there = world(keys)
    there.listen()
    const device = await there.device({ application })
    const cloud = await there.connected()
    cloud.signal(true)
    await there.clock.advance(50)
    assert.equal(device.system.led().words, 'rainbow')
    cloud.signal(false)
    await there.clock.advance(50)
    assert.equal(device.system.led().signal, 'cloud_connected')
    await device.system.stop(false)
  })

  it('pings a silent cloud, and connects anew when that does not answer', async () => {
    const there = world(keys)
    there.listen()
    const device = await there.device({ application })
    await there.connected(60_000)
    assert.equal(there.connections.length, 1, 'pings keep the connection')
    there.network.up = false
    await there.clock.advance(26_000)
    assert.notEqual(device.system.cloudStatus, 'connected')
    there.network.up = true
    const cloud = await there.connected()
    assert.equal(device.system.cloudStatus, 'connected')
    assert.equal(there.connections.length, 2)
    assert.ok(!cloud.said.some((event) => event.startsWith('spark/device/last_reset')), 'told once a boot')
    await device.system.stop(false)
  })

  it('erases a claim code once the cloud has taken it', async () => {
    const there = world(keys)
    there.listen()
    const device = await there.device({ config: { claimCode: 'x'.repeat(63) }, application })
    const cloud = await there.connected()
    assert.equal(cloud.said[0], `spark/device/claim/code=${'x'.repeat(63)}`)
    cloud.say('spark/device/claim/done', '')
    await there.clock.advance(50)
    assert.equal(device.flash.config.claimCode, undefined)
    await device.system.stop(false)
  })

  it('restarts, also in safe mode, when the cloud says so', async () => {
    for (const [data, reason, mode] of [
      ['reboot', 'user', 'normal'],
      ['safe mode', 'safe_mode', 'safe'],
    ] as const) {
      const there = world(keys)
      there.listen()
      const device = await there.device({ application })
      const cloud = await there.connected()
      cloud.say('spark/device/reset', data)
      await there.clock.advance(6_000)
      assert.deepEqual(device.resets, [{ reason, data: 0 }])
      assert.equal(device.flash.config.startupMode, mode)
      assert.equal(cloud.goodbye?.cloudReason, 5)
      await device.system.stop(false)
    }
  })
})

describe('safe mode', () => {
  it('announces itself and why, and runs no application', async () => {
    const there = world(keys)
    there.listen()
    const device = await there.device({
      application: `require('device-os').Log.info('running')`,
      needs: 2000,
      decision: { resetReason: 'update' },
    })
    const cloud = await there.connected()
    assert.deepEqual(cloud.said, [
      'spark/device/safemode=',
      'spark/device/last_reset=update',
      'particle/device/updates/enabled=true',
      'particle/device/updates/forced=false',
    ])
    const user = cloud.last('system')?.describe.modules.find((module) => module.function === 'user_part')
    assert.deepEqual([user?.checked, user?.passed], [30, 26])
    assert.deepEqual(user?.dependencies, [{ function: 'system_part', index: 2, version: 2000 }])
    assert.deepEqual(cloud.last('application')?.functions, [])
    assert.equal(device.system.led().words, 'breathing magenta')
    assert.ok(!device.logs.some(({ message }) => message === 'running'))
    assert.equal((cloud.hello?.flags ?? 0) & 1, 1, 'the update before was applied')
    await device.system.stop(false)
  })

  it('is shown only once connected', async () => {
    const there = world(keys)
    const device = await there.device()
    await there.clock.advance(3_700)
    assert.equal(device.system.led().words, 'blinking cyan')
    there.listen()
    await there.connected()
    assert.equal(device.system.led().signal, 'safe_mode')
    await device.system.stop(false)
  })
})

describe('the status LED in the hands of the application', () => {
  it('is controlled by RGB, and LEDStatus is shown by priority', async () => {
    const there = world(keys)
    there.listen()
    const device = await there.device({
      version: '2.0.0',
      application: `
const { RGB, LEDStatus, RGB_COLOR_ORANGE, LED_PATTERN_BLINK, LED_PRIORITY_IMPORTANT, delay, Log, Particle } = require('device-os')
exports.setup = async () => {
  RGB.onChange((r, g, b) => Log.trace('%d,%d,%d', r, g, b))
  RGB.control(true); RGB.color(1, 2, 3)
  Log.info(String(RGB.controlled()))
  await delay(1000)
  RGB.control(false)
  const status = new LEDStatus(RGB_COLOR_ORANGE, LED_PATTERN_BLINK, 300, LED_PRIORITY_IMPORTANT)
  status.setActive(); await delay(1000); status.setActive(false)
}`,
    })
    await there.connected(400)
    assert.equal(colorAt(device.system.led(), there.clock.now()), 0x010203)
    await there.clock.advance(1_000)
    assert.equal(device.system.led().words, 'blinking orange')
    assert.equal(device.system.led().period, 300)
    await there.clock.advance(1_000)
    assert.equal(device.system.led().words, 'breathing cyan')
    assert.ok(device.logs.some(({ message }) => message === '1,2,3'))
    await device.system.stop(false)
  })
})

describe('an application that fails', () => {
  const crash = `exports.setup = () => { throw new Error('boom') }`

  it('makes the device show SOS and restart, while it stays connected', async () => {
    const there = world(keys)
    there.listen()
    const device = await there.device({ application: crash })
    const cloud = await there.connected()
    assert.equal(device.system.led().words, 'red SOS')
    assert.equal(device.system.cloudStatus, 'connected')
    assert.ok(device.logs.some(({ level, message }) => level === 'error' && message.includes('boom')))
    await there.clock.advance(11_000)
    assert.deepEqual(device.resets, [{ reason: 'panic', data: 1 }])
    assert.deepEqual(cloud.goodbye, { cloudReason: 5, resetReason: 130 })
    await device.system.stop(false)
  })

  it('makes it wait longer each time', async () => {
    const there = world(keys)
    there.listen()
    const first = await there.device({ application: crash })
    await there.connected(11_000)
    assert.equal(first.resets.length, 1)
    const second = await there.device({ flash: first.flash, decision: { resetReason: 'panic', resetData: 1 } })
    const cloud = await there.connected(15_000)
    assert.ok(cloud.said.includes('spark/device/last_reset=panic, hard_fault'))
    assert.equal(second.resets.length, 0)
    await there.clock.advance(10_000)
    assert.equal(second.resets.length, 1)
  })

  it('fails also in a handler, and in what it imports', async () => {
    for (const application of [
      `require('device-os').Particle.function('f', async () => { throw new Error('in f') })`,
      `exports.loop = () => require('node:fs')`,
    ]) {
      const there = world(keys)
      there.listen()
      const device = await there.device({ application })
      const cloud = await there.connected()
      cloud.call('f', '').catch(() => {})
      await there.clock.advance(100)
      assert.equal(device.system.led().signal, 'panic')
      await device.system.stop(false)
    }
  })
})

describe('resets that the application asks for or holds back', () => {
  it('restarts with data, without going on', async () => {
    const there = world(keys)
    there.listen()
    const device = await there.device({
      application: `
const { System, Log } = require('device-os')
exports.setup = () => { try { System.reset(42) } finally { Log.info('unwound') } }
exports.loop = () => Log.error('goes on')`,
    })
    await there.clock.advance(6_000)
    assert.deepEqual(device.resets, [{ reason: 'user', data: 42 }])
    assert.deepEqual(
      device.logs.filter(({ category }) => category === 'app').map(({ message }) => message),
      ['unwound'],
    )
  })

  it('waits for System.enableReset, and for what the application does before a reset', async () => {
    const there = world(keys)
    there.listen()
    const device = await there.device({
      application: `
const { System, Log, delay, reset, reset_pending } = require('device-os')
exports.setup = () => {
  System.disableReset()
  System.on(reset_pending, async () => { Log.info('pending ' + System.resetPending()); await delay(2000); System.enableReset() })
  System.on(reset, async () => { await delay(3000); Log.info('saved') })
}`,
    })
    const cloud = await there.connected()
    cloud.say('spark/device/reset', 'reboot')
    await there.clock.advance(1_900)
    assert.deepEqual(device.resets, [])
    await there.clock.advance(3_000)
    assert.deepEqual(device.resets, [])
    await there.clock.advance(1_000)
    assert.deepEqual(device.resets, [{ reason: 'user', data: 0 }])
    assert.deepEqual(
      device.logs.filter(({ category }) => category === 'app').map(({ message }) => message),
      ['pending true', 'saved'],
    )
  })
})
