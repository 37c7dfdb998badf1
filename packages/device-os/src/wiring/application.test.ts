import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { PinBank } from '../hal/pins.ts'
import { inlineRunner } from '../hal/virtual/inline-runner.ts'
import { VirtualClock } from '../hal/virtual/virtual-clock.ts'
import { loadApiModule } from './api-module.ts'
import { startApplication } from './application.ts'
import type { ToApplication, ToSystem } from './messages.ts'
import { SharedState } from './shared-state.ts'

/** 2023-11-14T22:13:20Z, a Tuesday */
const someTime = 1_700_000_000

async function run(source: string, { version = '2.0.0', time = someTime }: { version?: string; time?: number } = {}) {
  const clock = new VirtualClock(5_000)
  const api = await loadApiModule(version)
  const state = new SharedState()
  const pins = new PinBank()
  if (time > 0) state.setNumber('timeOffset', time - clock.now() / 1000)
  const messages: ToSystem[] = []
  const application = inlineRunner((port, body) => startApplication(api, port, body), clock)(
    { userBody: source, shared: state.memory, pins: pins.memory },
    { message: (message) => messages.push(message as ToSystem), exited: () => {} },
  )
  const post = (message: ToApplication) => application.post(message)
  post({ kind: 'init', deviceId: '422b00000000000000000001', startedAt: clock.now() })
  await clock.advance(0)
  const logs = () => messages.flatMap((message) => (message.kind === 'log' ? [message.message] : []))
  const panics = () => messages.flatMap((message) => (message.kind === 'panic' ? [message.error.message] : []))
  return { clock, state, pins, messages, post, logs, panics, application }
}

const logOf = async (expression: string, options?: { version?: string; time?: number }): Promise<string> => {
  const { logs, panics } = await run(
    `const api = require('device-os'); const { Time, System, Log } = api; Log.info(String(${expression}))`,
    options,
  )
  assert.deepEqual(panics(), [])
  return logs()[0] ?? ''
}

describe('the application', () => {
  it('runs setup once and loop again and again, both may be async', async () => {
    const { clock, logs } = await run(`
const { Log, delay } = require('device-os')
exports.setup = async () => { await delay(100); Log.info('setup') }
exports.loop = async () => { Log.info('loop'); await delay(90) }`)
    await clock.advance(301)
    assert.deepEqual(logs(), ['setup', 'loop', 'loop', 'loop'])
  })

  it('may only import device-os', async () => {
    for (const name of ['node:fs', 'fs', './other', 'device-os/../x']) {
      const { panics } = await run(`require(${JSON.stringify(name)})`)
      assert.deepEqual(panics(), [`an application can only import 'device-os', not '${name}'`])
    }
  })

  it('panics once, with what it throws, and runs no more', async () => {
    for (const source of [
      `throw new Error('x')`,
      `exports.setup = async () => { throw new Error('x') }`,
      `exports.loop = () => { throw new Error('x') }`,
      `const { Timer } = require('device-os'); new Timer(1, () => { throw new Error('x') }).start()`,
      `this is no code`,
    ]) {
      const { clock, panics } = await run(source)
      await clock.advance(1_000)
      assert.equal(panics().length, 1, source)
    }
  })

  it('keeps its functions, variables and subscriptions within the limits of the device', async () => {
    const { messages, logs } = await run(`
const { Particle, Log } = require('device-os')
const tries = []
for (let i = 0; i < 101; i++) tries.push(Particle.function('f' + i, () => 0))
for (let i = 0; i < 101; i++) tries.push(Particle.variable('v' + i, i))
for (let i = 0; i < 5; i++) tries.push(Particle.subscribe('s' + i, () => {}))
tries.push(Particle.function('x'.repeat(65), () => 0), Particle.variable('', 1))
Log.info(tries.filter((ok) => !ok).length)`)
    assert.deepEqual(logs(), ['5'])
    assert.equal(messages.filter(({ kind }) => kind === 'function').length, 100)
  })

  it('tells the types of its variables, and new values only when they change', async () => {
    const { clock, messages } = await run(`
const { Particle, INT } = require('device-os')
let n = 0
Particle.variable('n', () => n, INT); Particle.variable('d', 19); Particle.variable('s', 'x'); Particle.variable('b', true)
if (Particle.variable('wrong', 'text', INT)) throw new Error('INT of text')
exports.loop = () => { if (n < 3) n++ }`)
    await clock.advance(2_000)
    assert.deepEqual(
      messages.flatMap((message) => (message.kind === 'variable' ? [[message.name, message.type]] : [])),
      [
        ['n', 'int32'],
        ['d', 'double'],
        ['s', 'string'],
        ['b', 'bool'],
      ],
    )
    const pushed = messages.flatMap((message) => (message.kind === 'values' ? [message.values] : []))
    assert.ok(pushed.length <= 2, 'not with every turn')
    assert.deepEqual(pushed.at(-1), { n: 3 })
  })
})

describe('Time', () => {
  const table: [expression: string, result: string][] = [
    ['Time.now()', '1700000000'],
    ['[Time.year(), Time.month(), Time.day(), Time.weekday()]', '2023,11,14,3'],
    ['[Time.hour(), Time.minute(), Time.second(), Time.hourFormat12(), Time.isPM()]', '22,13,20,10,true'],
    ['(Time.zone(5.5), Time.hour())', '3'],
    ['(Time.zone(-8), [Time.zone(), Time.local()])', '-8,1699971200'],
    ['(Time.zone(1), Time.beginDST(), [Time.hour(), Time.isDST(), Time.getDSTOffset()])', '0,true,1'],
    ['Time.format()', 'Tue Nov 14 22:13:20 2023'],
    ['Time.timeStr(0)', 'Thu Jan  1 00:00:00 1970'],
    ['Time.format(0, api.TIME_FORMAT_ISO8601_FULL)', '1970-01-01T00:00:00Z'],
    ['(Time.zone(-3.5), Time.format(api.TIME_FORMAT_ISO8601_FULL))', '2023-11-14T18:43:20-03:30'],
    ['Time.format("%A %B %d %I:%M %p %y %% %q")', 'Tuesday November 14 10:13 PM 23 % %q'],
    ['Time.isValid()', 'true'],
  ]
  for (const [expression, result] of table) {
    it(`${expression} is ${result}`, async () => {
      assert.equal(await logOf(expression), result)
    })
  }

  it('begins in 2000 while it is not known', async () => {
    assert.equal(await logOf('[Time.isValid(), Time.year(), Time.now()]', { time: 0 }), 'false,2000,946684800')
  })

  it('can be set', async () => {
    assert.equal(await logOf('(Time.setTime(86400 * 365), [Time.year(), Time.isValid()])', { time: 0 }), '1971,true')
  })
})

describe('System and small things', () => {
  it('tells its version as text and number', async () => {
    const expression = '[System.version(), System.versionNumber().toString(16)]'
    assert.equal(await logOf(expression, { version: '1.1.0-rc.1' }), '1.1.0-rc.1,1010081')
    assert.equal(await logOf(expression, { version: '2.0.0' }), '2.0.0,2000000')
  })

  it('has no member that is newer than its release', async () => {
    assert.equal(
      await logOf('[typeof System.uptime, typeof api.LEDStatus]', { version: '1.0.0' }),
      'undefined,undefined',
    )
    assert.equal(await logOf('[typeof System.uptime, typeof api.LEDStatus]', { version: '2.0.0' }), 'function,function')
  })

  it('maps, constrains and draws numbers', async () => {
    assert.equal(
      await logOf('[api.map(512, 0, 1024, 0, 100), api.constrain(300, 0, 255), api.constrain(-1, 0, 255)]'),
      '50,255,0',
    )
    assert.equal(
      await logOf('Array.from({ length: 99 }, () => api.random(5, 8)).every((n) => n >= 5 && n < 8)'),
      'true',
    )
  })

  it('waits for conditions and runs timers', async () => {
    const { clock, logs } = await run(`
const { waitFor, waitUntil, millis, Timer, Log } = require('device-os')
let n = 0
const timer = new Timer(100, () => { n++ })
const once = new Timer(50, () => Log.info('once'), true)
exports.setup = async () => {
  timer.start(); once.start()
  await waitUntil(() => n === 3)
  Log.info('%d %s', millis(), timer.isActive())
  timer.stop()
  Log.info('%s %s %s', await waitFor(() => false, 500), once.isActive(), timer.isActive())
}`)
    await clock.advance(1_000)
    assert.deepEqual(logs(), ['once', '300 true', 'false false false'])
  })

  it('reads and writes pins', async () => {
    const { clock, pins, logs, messages } = await run(`
const { pinMode, digitalWrite, digitalRead, analogRead, analogWrite, getPinMode, Log, D2, D3, A0, INPUT_PULLUP, OUTPUT, HIGH, delay } = require('device-os')
exports.setup = async () => {
  digitalWrite(D2, HIGH)
  Log.info('%d', digitalRead(D2))
  pinMode(D2, OUTPUT); digitalWrite(D2, HIGH); analogWrite(D2, 300)
  pinMode(D3, INPUT_PULLUP)
  Log.info('%d %d %s', digitalRead(D2), digitalRead(D3), getPinMode(D3))
  await delay(10)
  Log.info('%d', analogRead(A0))
}`)
    pins.setAnalog(19, 5_000)
    await clock.advance(20)
    assert.deepEqual(logs(), ['0', '1 1 INPUT_PULLUP', '4095'])
    assert.deepEqual([pins.level(2), pins.analog(2), pins.mode(2)], [1, 255, 'OUTPUT'])
    assert.ok(messages.some((message) => message.kind === 'pin' && message.pin === 2))
  })

  it('hears system events until it does not want to any more', async () => {
    const { post, clock, logs, messages } = await run(`
const { System, Log, cloud_status, reset_pending } = require('device-os')
const handler = (event, parameter) => Log.info('%d %d', event, parameter)
System.on(cloud_status | reset_pending, handler)
exports.loop = () => {}
require('device-os').Particle.function('off', () => { System.off(cloud_status, handler); return 0 })`)
    post({ kind: 'system', event: 64, parameter: 8 })
    post({ kind: 'call', id: 1, name: 'off', argument: '' })
    post({ kind: 'system', event: 64, parameter: 0 })
    post({ kind: 'system', event: 1024, parameter: 0 })
    await clock.advance(10)
    assert.deepEqual(logs(), ['64 8', '1024 0'])
    assert.deepEqual(
      messages.flatMap((message) => (message.kind === 'listen' ? [message.events] : [])),
      [64 | 1024, 1024],
    )
  })
})
