import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Flash } from '../flash/flash.ts'
import { VirtualClock, VirtualNetwork } from '../hal/index.ts'
import { buildReleases } from '../release/build-release.ts'
import { bundle } from '../release/bundle.ts'
import type { ReleaseFolder } from '../release/release-folder.ts'
import { MemoryStorage } from '../storage/memory-storage.ts'
import { needsBootloader, needsSystemPart, testApplication, testModule, testPlatform } from '../test-modules.ts'
import { MemoryDevice, type MemoryDeviceOptions } from './memory-device.ts'
import { HealingCloud } from './test-healing-cloud.ts'

const folder = mkdtempSync(join(tmpdir(), 'aloe-memory-'))
let releases: readonly ReleaseFolder[]
let bootloaderBody: Uint8Array

before(async () => {
  releases = await buildReleases(join(folder, 'releases'))
  const sources = join(import.meta.dirname, '..')
  const versions = { apiVersion: '1.0.0', version: '1.0.0' }
  const wiringFolder = join(sources, 'wiring')
  bootloaderBody = await bundle({ entry: join(sources, 'boot/main.ts'), ...versions, wiringFolder })
})
after(() => rmSync(folder, { recursive: true }))

/** Counts how often its body is evaluated, and does at each boot what the next word of its script says. */
const scripted = `
globalThis.aloeEvaluated = (globalThis.aloeEvaluated ?? 0) + 1
exports.startApplication = () => {}
exports.startSystem = ({ hal, flash, decision, reset }) => {
  const script = JSON.parse(Buffer.from(flash.readData('script') ?? '[]').toString())
  const word = script.shift()
  flash.writeData('script', Buffer.from(JSON.stringify(script)))
  const message = [decision.mode, decision.resetReason, decision.resetData].join(' ')
  hal.log({ level: 'info', category: 'test', message, time: hal.now() })
  hal.setTimer(10, () => hal.log({ level: 'info', category: 'test', message: 'late', time: hal.now() }))
  if (word === 'reset') reset('user', 7)
  if (word === 'throw') hal.setTimer(5, () => { throw new Error('boom') })
  if (word === 'fail') throw new Error('boom')
  return { stop: async () => {}, led: () => undefined }
}`

function scriptedStorage(script: readonly string[], part2 = scripted): MemoryStorage {
  const storage = new MemoryStorage()
  const flash = new Flash(storage, testPlatform)
  for (const module of [
    testModule('bootloader', 0, 100, [], { body: Buffer.from(bootloaderBody).toString() }),
    testModule('system_part', 1, 1000, needsBootloader(100), { body: 'exports.communication = {}' }),
    testModule('system_part', 2, 1000, needsSystemPart(1, 1000), { body: part2 }),
    testApplication(1000),
  ]) {
    flash.install(module)
  }
  flash.initialize({
    deviceId: '422b05'.padEnd(24, '0'),
    deviceKey: Uint8Array.of(1),
    startupMode: 'normal',
    flags: {},
  })
  flash.writeData('script', Buffer.from(JSON.stringify(script)))
  return storage
}

function virtualDevice(options: MemoryDeviceOptions) {
  const clock = new VirtualClock()
  const network = new VirtualNetwork()
  const lines: string[] = []
  const device = new MemoryDevice({
    clock,
    connectTcp: (_, port, handlers) => network.connect(port, handlers),
    onLog: ({ from, message }) => from === 'system' && lines.push(message),
    ...options,
  })
  return { device, clock, lines }
}

describe('a device in memory', () => {
  it('boots from its own flash after every end of its system', async () => {
    const { device, clock, lines } = virtualDevice({ storage: scriptedStorage(['reset', 'throw', 'fail']) })
    device.start()
    await clock.advance(5_000)
    assert.deepEqual(lines, ['normal power_down 0', 'normal user 7', 'normal panic 10', 'normal panic 10', 'late'])
    assert.equal(device.status.phase, 'system')
    assert.equal(device.status.boots, 4)
    device.reset()
    await clock.advance(100)
    assert.deepEqual(lines.slice(5), ['normal pin_reset 0', 'late'])
    await device.stop()
    assert.equal(device.status.phase, 'off')
  })

  it('stays in the bootloader when its system cannot be started', async () => {
    const { device, clock } = virtualDevice({ storage: scriptedStorage([], 'this is not code') })
    device.start()
    await clock.advance(100)
    assert.equal(device.status.phase, 'dfu')
    assert.match(device.status.reason ?? '', /do not run/)
    assert.equal(device.status.led?.words, 'blinking yellow')
    await device.stop()
  })

  it('shares the code of its modules with all others', async () => {
    const evaluated = () => (globalThis as { aloeEvaluated?: number }).aloeEvaluated
    const before = evaluated()
    const fleet = Array.from({ length: 200 }, () => virtualDevice({ storage: scriptedStorage(['reset']) }))
    for (const { device } of fleet) device.start()
    for (const { clock } of fleet) await clock.advance(20)
    assert.ok(fleet.every(({ device }) => device.status.phase === 'system' && device.status.boots === 2))
    assert.equal(evaluated(), before)
    await Promise.all(fleet.map(({ device }) => device.stop(false)))
  })

  it('is healed by a cloud like any other, with the real system', async () => {
    const application = (version: number, needs: number) =>
      testModule('user_part', 1, version, needsSystemPart(2, needs), {
        body: `const { Particle } = require('device-os')\nexports.setup = () => { Particle.variable('version', () => ${version}) }`,
      })
    const [first, newest] = [releases[0], releases.at(-1)]
    assert.ok(first && newest)
    const cloud = await HealingCloud.start(testPlatform, { application: application(2, 2000), releases: [newest] })
    const devices = Array.from(
      { length: 5 },
      () =>
        new MemoryDevice({
          release: first,
          application: application(1, 1000),
          serverKey: cloud.serverKeyDer,
          serverAddress: { type: 'ipv4', address: '127.0.0.1', port: cloud.port },
        }),
    )
    try {
      const reached = Promise.all(devices.map((device) => cloud.reached(device.id)))
      for (const device of devices) device.start()
      await reached
      for (const device of devices) {
        assert.deepEqual(
          device.flash.installed().map((module) => module.version),
          [200, 2000, 2000, 2],
        )
        assert.equal(device.status.decision?.mode, 'normal')
      }
    } finally {
      await Promise.all(devices.map((device) => device.stop()))
      await cloud.close()
    }
  })
})
