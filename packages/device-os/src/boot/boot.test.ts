import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { buildModule, compressModule, moduleFlags, parseModule, updateResult } from '@aloe/firmware'
import { Flash } from '../flash/flash.ts'
import { MemoryStorage } from '../storage/memory-storage.ts'
import { type Storage, StorageError } from '../storage/storage.ts'
import {
  needsBootloader,
  needsSystemPart,
  testApplication,
  testFlash,
  testModule,
  testPlatform,
  testRelease,
} from '../test-modules.ts'
import { boot } from './boot.ts'
import type { BootDecision } from './decision.ts'
import type { Rom, SystemEnd } from './rom.ts'

interface Run {
  readonly decision: BootDecision | undefined
  readonly stayed: string | undefined
  readonly lines: readonly string[]
}

/** One boot whose system ends as given. */
async function bootOnce(storage: Storage, end: SystemEnd = { kind: 'off' }, powerOn = true): Promise<Run> {
  let decision: BootDecision | undefined
  let stayed: string | undefined
  const lines: string[] = []
  const rom: Rom = {
    storage,
    platform: testPlatform,
    powerOn,
    log: (line) => lines.push(line.message),
    signal: () => {},
    startSystem: async (given) => {
      decision = given
      return end
    },
    stay: async (reason) => {
      stayed = reason
    },
  }
  await boot(rom)
  return { decision, stayed, lines }
}

const versions = (storage: Storage) => new Flash(storage, testPlatform).installed().map((module) => module.version)

describe('a boot', () => {
  it('starts the system and describes its modules', async () => {
    const { decision } = await bootOnce(testFlash(new MemoryStorage()).storage)
    assert.equal(decision?.mode, 'normal')
    assert.equal(decision.resetReason, 'power_down')
    assert.deepEqual(
      decision.modules.map((module) => [module.function, module.index, module.version, module.checked, module.passed]),
      [
        ['bootloader', 0, 100, 30, 30],
        ['system_part', 1, 1000, 30, 30],
        ['system_part', 2, 1000, 30, 30],
        ['user_part', 1, 1, 30, 30],
      ],
    )
  })

  it('goes to safe mode when the application needs a newer Device OS', async () => {
    const flash = testFlash(new MemoryStorage())
    flash.addPending(testApplication(2000))
    const { decision } = await bootOnce(flash.storage)
    assert.equal(decision?.mode, 'safe')
    assert.equal(decision.reason, 'application')
    assert.deepEqual(decision.missing, [{ function: 'system_part', index: 2, version: 2000 }])
    assert.equal(decision.modules.find((module) => module.function === 'user_part')?.passed, 26)
    assert.equal(decision.why, 'system_part 2@2000 is missing')
  })

  it('heals to a newer release, module by module', async () => {
    const flash = testFlash(new MemoryStorage())
    flash.addPending(testApplication(2000))
    for (const module of testRelease(2000, 200)) {
      assert.equal((await bootOnce(flash.storage)).decision?.mode, 'safe')
      flash.addPending(module)
      // Installs a bootloader and hands over to it.
      if (new Flash(flash.storage, testPlatform).pending()[0]?.function === 'bootloader') await bootOnce(flash.storage)
    }
    assert.equal((await bootOnce(flash.storage)).decision?.mode, 'normal')
    assert.deepEqual(versions(flash.storage), [200, 2000, 2000, 1])
  })

  it('goes to safe mode once when that is asked for, and without an application', async () => {
    const flash = testFlash(new MemoryStorage())
    flash.updateConfig({ startupMode: 'safe' })
    assert.equal((await bootOnce(flash.storage)).decision?.reason, 'requested')
    assert.equal((await bootOnce(flash.storage)).decision?.mode, 'normal')
    flash.storage.remove('slot-user_part-1.bin')
    assert.equal((await bootOnce(flash.storage)).decision?.reason, 'no-application')
  })

  it('hands over to a new bootloader, with what it was told', async () => {
    const flash = testFlash(new MemoryStorage())
    flash.addPending(testModule('bootloader', 0, 101))
    flash.setResetInfo({ reason: 'update', data: 0 })
    const first = await bootOnce(flash.storage, { kind: 'off' }, false)
    assert.equal(first.decision, undefined)
    const second = await bootOnce(flash.storage, { kind: 'off' }, false)
    assert.equal(second.decision?.resetReason, 'update')
    assert.deepEqual(versions(flash.storage), [101, 1000, 1000, 1])
  })

  it('applies bootloaders last', async () => {
    const flash = testFlash(new MemoryStorage())
    flash.addPending(testModule('bootloader', 0, 101))
    flash.addPending(testModule('system_part', 1, 1001, needsBootloader(101)))
    const { lines } = await bootOnce(flash.storage)
    assert.deepEqual(
      lines.filter((line) => line.startsWith('installed')).map((line) => line.split(',')[0]),
      ['installed system_part 1@1001', 'installed bootloader 0@101'],
    )
  })

  it('drops a pending module that is damaged, foreign or misplaced', async () => {
    const intact = testModule('system_part', 2, 1001, needsSystemPart(1, 1000))
    const damaged = intact.slice()
    damaged[40] = (damaged[40] ?? 0) ^ 1
    const cases: [Uint8Array, number][] = [
      [damaged, updateResult.integrityCheckFailed],
      [testModule('system_part', 2, 1001, [], { platformId: 12 }), updateResult.invalidPlatform],
    ]
    for (const [module, result] of cases) {
      const flash = testFlash(new MemoryStorage())
      flash.addPending(module)
      const { decision } = await bootOnce(flash.storage)
      assert.equal(decision?.mode, 'normal')
      assert.deepEqual(
        decision.applied.map((applied) => applied.result),
        [result],
      )
      assert.deepEqual(versions(flash.storage), [100, 1000, 1000, 1])
      assert.deepEqual(flash.pending(), [])
    }
  })

  it('drops a pending module for which there is no room, and goes on with the installed one', async () => {
    const flash = testFlash(new MemoryStorage())
    const { storage } = flash
    flash.addPending(testModule('system_part', 2, 1001, needsSystemPart(1, 1000)))
    const write = storage.write.bind(storage)
    storage.write = (name, bytes, offset) => {
      if (name.startsWith('slot-')) throw new StorageError('io', 'no space left on device')
      if (offset === undefined) write(name, bytes)
      else write(name, bytes, offset)
    }
    const { decision, lines } = await bootOnce(storage)
    assert.equal(decision?.mode, 'normal')
    assert.equal(decision.applied[0]?.result, updateResult.error)
    assert.ok(lines.some((line) => line.includes('no space left')))
    assert.deepEqual(versions(storage), [100, 1000, 1000, 1])
    assert.deepEqual(flash.pending(), [])
  })

  it('drops a pending file that is not the one that was accepted', async () => {
    const flash = testFlash(new MemoryStorage())
    flash.addPending(testModule('system_part', 2, 1001))
    const [file] = flash.pending()
    assert.ok(file)
    flash.storage.write(file.file, testModule('system_part', 2, 1002))
    const { decision } = await bootOnce(flash.storage)
    assert.equal(decision?.applied[0]?.result, updateResult.integrityCheckFailed)
  })

  it('applies the two modules of a combined file', async () => {
    const flash = testFlash(new MemoryStorage())
    const part = testModule('system_part', 2, 1001, needsSystemPart(1, 1000), { flags: moduleFlags.combined })
    flash.addPending(Buffer.concat([part, testApplication(1001)]))
    const { decision } = await bootOnce(flash.storage)
    assert.equal(decision?.mode, 'normal')
    assert.deepEqual(versions(flash.storage), [100, 1000, 1001, 1])
  })

  it('inflates a compressed module, and drops one that does not hold what it says', async () => {
    const flash = testFlash(new MemoryStorage())
    const image = testModule('system_part', 2, 1001, needsSystemPart(1, 1000), { size: 20_000 })
    const compressed = compressModule(image)
    assert.ok(compressed.length < image.length)
    flash.addPending(compressed)
    assert.equal((await bootOnce(flash.storage)).decision?.applied[0]?.result, 0)
    assert.ok(Buffer.from(new Flash(flash.storage, testPlatform).module('system_part', 2) ?? []).equals(image))

    const { body, ...module } = parseModule(compressModule(testModule('system_part', 2, 1002)))
    flash.addPending(
      buildModule({
        platformId: module.platformId,
        function: 'system_part',
        index: 2,
        version: 1002,
        flags: moduleFlags.compressed,
        body: body.subarray(0, body.length - 5),
      }),
    )
    const { decision } = await bootOnce(flash.storage)
    assert.equal(decision?.applied[0]?.result, updateResult.integrityCheckFailed)
    assert.deepEqual(versions(flash.storage), [100, 1000, 1001, 1])
  })

  it('stays in the bootloader when a system part cannot be used, and says why', async () => {
    for (const [spoil, words] of [
      [(flash: Flash) => flash.storage.remove('slot-system_part-1.bin'), /system_part 1 is missing/],
      [(flash: Flash) => flash.storage.write('slot-system_part-2.bin', Buffer.from('x')), /system_part 2 is damaged/],
      [
        (flash: Flash) => flash.storage.write('slot-system_part-2.bin', testApplication(1)),
        /system_part 2 is another module/,
      ],
    ] as const) {
      const flash = testFlash(new MemoryStorage())
      spoil(flash)
      const { decision, stayed } = await bootOnce(flash.storage)
      assert.equal(decision, undefined)
      assert.match(stayed ?? '', words)
    }
    const { stayed } = await bootOnce(testFlash(new MemoryStorage()).storage, { kind: 'unusable', message: 'no code' })
    assert.match(stayed ?? '', /no code/)
  })

  it('turns every end of the system into the reset reason of the next boot', async () => {
    const ends: [SystemEnd, string, number][] = [
      [{ kind: 'reset', reason: 'update' }, 'update', 0],
      [{ kind: 'reset', reason: 'user', data: 5 }, 'user', 5],
      [{ kind: 'exit', code: 0 }, 'panic', 7],
      [{ kind: 'signal', signal: 'SIGKILL' }, 'pin_reset', 0],
      [{ kind: 'signal', signal: 'SIGSEGV' }, 'panic', 1],
      [{ kind: 'signal', signal: 'SIGABRT' }, 'panic', 8],
      [{ kind: 'crash', message: 'oh' }, 'panic', 10],
      [{ kind: 'watchdog' }, 'watchdog', 0],
    ]
    for (const [end, reason, data] of ends) {
      const { storage } = testFlash(new MemoryStorage())
      await bootOnce(storage, end)
      const { decision } = await bootOnce(storage, { kind: 'off' }, false)
      assert.deepEqual([decision?.resetReason, decision?.resetData], [reason, data], JSON.stringify(end))
    }
  })

  it('forgets after a power cut what was only for a reset', async () => {
    const flash = testFlash(new MemoryStorage())
    flash.retained = Uint8Array.of(1)
    await bootOnce(flash.storage, { kind: 'reset', reason: 'user' }, false)
    assert.equal(flash.retained.length, 1)
    const { decision } = await bootOnce(flash.storage, { kind: 'off' }, true)
    assert.equal(decision?.resetReason, 'power_down')
    assert.equal(flash.retained.length, 0)
  })

  it('does not know the reason when nobody could note it', async () => {
    const { decision } = await bootOnce(testFlash(new MemoryStorage()).storage, { kind: 'off' }, false)
    assert.equal(decision?.resetReason, 'unknown')
  })
})
