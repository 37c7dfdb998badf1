/** The whole device on one real machine: real TCP, a real thread for the application, the bundled system part 2. */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:net'
import { dirname, join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { realClock } from '../hal/clock.ts'
import { connectTcp } from '../hal/linux/tcp.ts'
import { workerRunner } from '../hal/linux/worker-runner.ts'
import { bundle } from '../release/bundle.ts'
import { needsBootloader, testModule } from '../test-modules.ts'
import { TestCloudConnection } from './test-cloud.ts'
import { startDevice, type TestDevice, type TestKeys, testKeys } from './test-device.ts'

const here = dirname(fileURLToPath(import.meta.url))

async function bundled(version: string): Promise<string> {
  const bytes = await bundle({
    entry: join(here, 'part2.ts'),
    apiVersion: version,
    version,
    wiringFolder: join(here, '..', 'wiring'),
  })
  return Buffer.from(bytes).toString()
}

async function until<Value>(get: () => Value | undefined | false, what: string, limit = 10_000): Promise<Value> {
  for (const end = Date.now() + limit; Date.now() < end; ) {
    const value = get()
    if (value !== undefined && value !== false) return value
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error(`waited ${limit} ms for ${what}`)
}

describe('a device whose application runs in a thread', () => {
  let keys: TestKeys
  let part2: string
  let server: Server
  let port: number
  const clouds: TestCloudConnection[] = []
  const devices: TestDevice[] = []

  before(async () => {
    ;[keys, part2] = await Promise.all([testKeys(), bundled('2.0.0')])
    server = createServer((socket) => {
      const cloud = new TestCloudConnection(socket, { serverKey: keys.server, clock: realClock })
      clouds.push(cloud)
      socket.on('data', (bytes) => cloud.data(bytes))
      socket.on('error', () => {})
      socket.on('close', () => cloud.ended())
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    port = typeof address === 'object' && address !== null ? address.port : 0
  })

  afterEach(async () => {
    await Promise.all(devices.splice(0).map(({ system }) => system.stop(false)))
  })

  after(() => {
    for (const cloud of clouds) cloud.close()
    server.close()
  })

  async function run(application: string): Promise<{ device: TestDevice; cloud: TestCloudConnection }> {
    const before = clouds.length
    const device = await startDevice({
      keys,
      application,
      port,
      clock: realClock,
      keepLogs: 1000,
      connectTcp,
      runApplication: workerRunner(part2),
      version: '2.0.0',
    })
    devices.push(device)
    const cloud = await until(() => clouds[before], 'the connection')
    await until(() => cloud.last('application'), 'the application describe')
    return { device, cloud }
  }

  it('answers calls and reads, hears events, publishes and logs', async () => {
    const { device, cloud } = await run(`
const { Particle, Log, System, Time, delay, digitalWrite, digitalRead, pinMode, D7, OUTPUT, HIGH } = require('device-os')
let n = 0
exports.setup = async () => {
  await delay(5)
  pinMode(D7, OUTPUT)
  Particle.function('add', async (text) => { await delay(1); n += Number(text); return n })
  Particle.variable('n', () => n)
  Particle.subscribe('ask', (name, data) => { digitalWrite(D7, HIGH); Particle.publish('answer', data + '!') })
  Log.info('started %s %s %d', System.version(), System.deviceID(), System.resetReason())
}`)
    assert.deepEqual(await cloud.call('add', '20'), { ok: true, value: 20 })
    assert.deepEqual(await cloud.call('add', '22'), { ok: true, value: 42 })
    assert.equal(await cloud.read('n', 'double'), 42)
    await until(() => cloud.session.subscriptions.some(({ prefix }) => prefix === 'ask'), 'the subscription')
    cloud.deliver('ask/me', 'well')
    await until(() => cloud.said.includes('answer=well!'), 'the answer')
    assert.equal(device.hal.pins.level(7), 1)
    assert.deepEqual(
      device.logs.filter(({ category }) => category === 'app').map(({ message }) => message),
      ['started 2.0.0 422b00000000000000000001 40'],
    )
  })

  it('keeps connection, variables and updates while loop() never returns', async () => {
    const { device, cloud } = await run(`
const { Particle } = require('device-os')
let n = 1
exports.setup = () => { Particle.function('f', () => 1); Particle.variable('n', () => n) }
exports.loop = () => { for (;;) n++ }`)
    assert.equal(await cloud.ping(), true)
    const value = await cloud.read('n', 'double')
    assert.ok(value === 1, 'the last value that the application had when it yielded')
    assert.equal((await cloud.call('f', '', 300)).ok, false, 'the caller times out')
    const result = await cloud.update(testModule('system_part', 1, 1100, needsBootloader(100), { size: 200_000 }))
    assert.equal(result.ok, true)
    await until(() => device.resets[0], 'the reset')
    assert.deepEqual(device.resets, [{ reason: 'update', data: 0 }])
  })

  it('serves the cloud from a loop that calls Particle.process()', async () => {
    const { cloud } = await run(`
const { Particle, millis } = require('device-os')
let n = 0
exports.setup = () => { Particle.function('f', (text) => text.length); Particle.variable('n', () => n) }
exports.loop = () => { for (;;) { n++; Particle.process() } }`)
    assert.deepEqual(await cloud.call('f', 'four'), { ok: true, value: 4 })
    const first = Number(await cloud.read('n', 'double'))
    // On a busy machine a read may be given the value of the one before.
    let second = first
    for (let tries = 0; tries < 20 && second <= first; tries += 1) second = Number(await cloud.read('n', 'double'))
    assert.ok(second > first)
  })

  it('sees the connection from a loop that only looks', async () => {
    const { device } = await run(`
const { Particle, Log } = require('device-os')
exports.setup = () => { while (!Particle.connected()) {} ; Log.info('seen') }`)
    await until(() => device.logs.some(({ message }) => message === 'seen'), 'the log')
  })

  it('is not drowned by an application that never stops talking', async () => {
    const { cloud } = await run(`
const { Log } = require('device-os')
exports.loop = () => { for (;;) Log.info('and so on') }`)
    assert.equal(await cloud.ping(), true)
    const before = process.memoryUsage.rss()
    await new Promise((resolve) => setTimeout(resolve, 500))
    assert.equal(await cloud.ping(), true)
    assert.ok(process.memoryUsage.rss() - before < 200 * 1024 * 1024)
  })

  it('panics when the application fails, and stays connected', async () => {
    const { device, cloud } = await run(`
const { Particle } = require('device-os')
exports.setup = () => { Particle.function('fail', () => { setTimeout(() => { throw new Error('late') }, 1); return 1 }) }`)
    await cloud.call('fail', '')
    await until(() => device.system.led().signal === 'panic', 'the panic')
    assert.equal(await cloud.ping(), true)
    assert.ok(device.logs.some(({ message }) => message.includes('late')))
  })
})
