import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { sha256, updateResult } from '@aloe/firmware'
import { StorageError } from '../storage/storage.ts'
import { needsBootloader, needsSystemPart, testModule } from '../test-modules.ts'
import { flashWith, type TestDevice, type TestKeys, testKeys, type World, world } from './test-device.ts'
import { Updates } from './updates.ts'

let keys: TestKeys
before(async () => {
  keys = await testKeys()
})

const newSystem1 = testModule('system_part', 1, 1100, needsBootloader(100), { size: 20_000 })
const newSystem2 = testModule('system_part', 2, 1100, needsSystemPart(1, 1100), { size: 20_000 })
const newApplication = testModule('user_part', 1, 1, needsSystemPart(2, 2000), { size: 5_000 })

async function connectedDevice(application?: string, latency?: number): Promise<{ there: World; device: TestDevice }> {
  const there = world(keys, latency)
  there.listen()
  const device = await there.device({ application: application ?? 'exports.loop = () => {}' })
  await there.connected()
  return { there, device }
}

const send = async (there: World, file: Uint8Array) => {
  const result = there.connections.at(-1)?.update(file)
  await there.clock.advance(3_000)
  return result
}

describe('updates', () => {
  it('takes a module, hands it to the bootloader and resets once', async () => {
    const { there, device } = await connectedDevice()
    const result = await send(there, newSystem1)
    assert.equal(result?.ok, true)
    assert.deepEqual(
      device.flash.pending().map(({ function: name, index, version }) => [name, index, version]),
      [['system_part', 1, 1100]],
    )
    await there.clock.advance(6_000)
    assert.deepEqual(device.resets, [{ reason: 'update', data: 0 }])
    assert.ok(device.leds.some(({ signal }) => signal === 'firmware_update'))
    assert.deepEqual(there.connections[0]?.goodbye, { cloudReason: 5, resetReason: 70 })
  })

  it('takes an application whose Device OS is missing: the device will heal in safe mode', async () => {
    const { there, device } = await connectedDevice()
    assert.equal((await send(there, newApplication))?.ok, true)
    assert.equal(device.flash.pending().length, 1)
  })

  const damaged = newSystem1.slice()
  damaged[500] = (damaged[500] ?? 0) ^ 1
  const foreign = testModule('system_part', 1, 1100, needsBootloader(100), { platformId: 3 })
  const refused: [what: string, file: Uint8Array, code: number][] = [
    ['a system part that needs a newer other one', newSystem2, updateResult.dependencyCheckFailed],
    ['a damaged module', damaged, updateResult.integrityCheckFailed],
    ['a module of another platform', foreign, updateResult.invalidPlatform],
    ['a file that is no module', new Uint8Array(600).fill(0x55), updateResult.moduleNotFound],
  ]
  for (const [what, file, code] of refused) {
    it(`refuses ${what} with ${code}, and goes on`, async () => {
      const { there, device } = await connectedDevice()
      const result = await send(there, file)
      assert.equal(result?.ok, false)
      assert.equal(result?.ok === false && result.code, code)
      await there.clock.advance(10_000)
      assert.deepEqual(device.resets, [])
      assert.equal(device.flash.pending().length, 0)
      assert.equal(device.system.cloudStatus, 'connected')
      assert.equal(there.connections.length, 1, 'it has not connected again')
      const words = device.logs.filter(({ level }) => level === 'warn').map(({ message }) => message)
      assert.ok(words.some((message) => message.startsWith('the update failed') && message.endsWith(`(${code})`)))
      await device.system.stop(false)
    })
  }

  it('refuses what the flash has no room for, and goes on', async () => {
    const { there, device } = await connectedDevice()
    const { storage } = device.flash
    const write = storage.write.bind(storage)
    storage.write = (name, bytes, offset = 0) => {
      if (name === 'staging.bin' && offset > 10_000) throw new StorageError('io', 'no space left on device')
      write(name, bytes, offset)
    }
    const result = await send(there, newSystem1)
    assert.equal(result?.ok === false && result.code, updateResult.error)
    assert.match((result?.ok === false && result.message) || '', /no space left/)
    await there.clock.advance(10_000)
    assert.deepEqual(device.resets, [])
    assert.equal(storage.size('staging.bin'), undefined, 'what came makes room')
    assert.equal(device.system.cloudStatus, 'connected')
    storage.write = write
    assert.equal((await send(there, newSystem1))?.ok, true)
  })

  it('refuses while the application does, unless the owner forces it', async () => {
    const { there, device } = await connectedDevice(`
const { System, Log, firmware_update, firmware_update_pending } = require('device-os')
exports.setup = () => {
  System.disableUpdates()
  System.on(firmware_update_pending | firmware_update, (event, what) => Log.info('%d %d', event, what))
}`)
    const cloud = there.connections[0]
    assert.ok(cloud?.said.includes('particle/device/updates/enabled=false'))
    const result = await send(there, newSystem1)
    assert.equal(result?.ok === false && result.code, updateResult.updatesDisabled)
    cloud?.say('particle/device/updates/pending', 'true')
    cloud?.say('particle/device/updates/forced', 'true')
    await there.clock.advance(100)
    assert.equal(cloud?.said.at(-1), 'particle/device/updates/forced=true', 'the echo is the acknowledgement')
    assert.equal((await send(there, newSystem1))?.ok, true)
    const seen = device.logs.filter(({ category }) => category === 'app').map(({ message }) => message)
    assert.deepEqual(seen.slice(0, 2), ['512 1', '256 0'])
    assert.equal(seen.at(-1), '256 1')
  })

  it('goes on where a broken connection left it', async () => {
    const { there, device } = await connectedDevice(undefined, 20)
    const big = testModule('system_part', 1, 1100, needsBootloader(100), { size: 400_000 })
    const first = there.connections[0]?.update(big)
    for (let step = 0; step < 200 && device.flash.staging.received < 150_000; step += 1) await there.clock.advance(1)
    there.network.cut()
    assert.equal((await first)?.ok, false)
    const cloud = await there.connected(2_000)
    const second = cloud.update(big)
    await there.clock.advance(5_000)
    const result = await second
    assert.equal(result.ok, true)
    assert.ok(result.ok && result.stats.resumedAt >= 100_000, 'resumed')
  })

  it('shows the update on the LED while it runs', async () => {
    const { there, device } = await connectedDevice(undefined, 20)
    const done = there.connections[0]?.update(
      testModule('system_part', 1, 1100, needsBootloader(100), { size: 400_000 }),
    )
    await there.clock.advance(150)
    assert.equal(device.system.led().words, 'blinking magenta')
    there.network.cut()
    await done
    await there.clock.advance(10)
    assert.notEqual(device.system.led().signal, 'firmware_update')
    await device.system.stop(false)
  })
})

describe('the staging of updates', () => {
  const updatesOf = (allowed = true) => {
    const flash = flashWith({ keys })
    const told: string[] = []
    const updates = new Updates(flash, {
      allowed: () => allowed,
      begun: () => told.push('begun'),
      progress: () => told.push('progress'),
      failed: (error) => told.push(`failed ${error}`),
      applied: () => told.push('applied'),
    })
    return { flash, updates, told }
  }
  const silent = { begun: () => {}, progress: () => {}, failed: () => {}, applied: () => {} }
  const request = (file: Uint8Array) => ({ size: file.length, sha256: sha256(file), discard: false, chunkSize: 512 })
  const errorOf = (answer: object) => ('error' in answer ? answer.error : 0)

  it('refuses sizes that do not fit, a second update, and anything while updates are disabled', () => {
    const { updates, flash } = updatesOf()
    const region = flash.platform.otaRegionSize
    assert.equal(errorOf(updates.begin({ ...request(newSystem1), size: 0 })), updateResult.invalidSize)
    assert.equal(errorOf(updates.begin({ ...request(newSystem1), size: region + 1 })), updateResult.invalidSize)
    assert.deepEqual(updates.begin(request(newSystem1)), { offset: 0 })
    assert.equal(errorOf(updates.begin(request(newSystem1))), updateResult.invalidState)
    assert.equal(errorOf(updatesOf(false).updates.begin(request(newSystem1))), updateResult.updatesDisabled)
  })

  it('validates without effect, and applies once', () => {
    const { updates, flash, told } = updatesOf()
    updates.begin(request(newSystem1))
    updates.write(0, newSystem1)
    assert.deepEqual(updates.finish(), { ok: true })
    assert.equal(flash.pending().length, 0)
    updates.apply()
    updates.apply()
    assert.equal(flash.pending().length, 1)
    assert.deepEqual(told, ['begun', 'progress', 'applied'])
  })

  it('keeps a whole file whose result the cloud did not acknowledge, through a reset too', () => {
    const { updates, flash } = updatesOf()
    updates.begin(request(newSystem1))
    updates.write(0, newSystem1)
    updates.cancel(false)
    assert.deepEqual(updates.begin(request(newSystem1)), { offset: newSystem1.length })
    assert.deepEqual(updates.finish(), { ok: true })
    updates.cancel(false)
    const rebooted = new Updates(flash, { ...silent, allowed: () => true })
    assert.deepEqual(rebooted.begin(request(newSystem1)), { offset: newSystem1.length })
    assert.deepEqual(rebooted.finish(), { ok: true })
    rebooted.apply()
    assert.equal(flash.pending().length, 1)
  })

  it('forgets a whole file that it refused', () => {
    const { updates } = updatesOf()
    updates.begin(request(newSystem2))
    updates.write(0, newSystem2)
    assert.equal(errorOf(updates.finish()), updateResult.dependencyCheckFailed)
    updates.cancel(false)
    assert.deepEqual(updates.begin(request(newSystem2)), { offset: 0 })
  })

  it('does not take a file for another', () => {
    const { updates } = updatesOf()
    updates.begin({ ...request(newSystem1), sha256: sha256(newSystem2) })
    updates.write(0, newSystem1)
    assert.equal(errorOf(updates.finish()), updateResult.integrityCheckFailed)
  })
})
