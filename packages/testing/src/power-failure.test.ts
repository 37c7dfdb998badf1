/**
 * Power is cut at every storage operation of whole updates, in several ways of losing what was not synced. After each
 * cut every slot holds its old or its new module, the device boots, and the update comes to its end.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type BootDecision, boot, Flash, type Storage, type SystemEnd } from '@aloe/device-os'
import {
  buildModule,
  type ModuleDependency,
  type ModuleFunction,
  type ModuleRef,
  moduleFlags,
  moduleLabel,
  type Platform,
  parseModule,
  platformByName,
  sha256,
} from '@aloe/firmware'
import { FaultyStorage, PowerCut } from './faulty-storage.ts'

const linux = platformByName('linux')
assert.ok(linux)
const platform: Platform = linux

/** Ways in which a cut loses things: 0 loses all, 1 nothing, the others a part. */
const seeds = Number(process.env.ALOE_POWER_SEEDS ?? 6)

const bodySize = 9_000
const chunkSize = 1_024

function module(name: ModuleFunction, index: number, version: number, dependency?: ModuleDependency, flags = 0) {
  const dependencies = dependency ? [dependency] : []
  const body = Buffer.alloc(bodySize, `${name} ${index}@${version} `)
  return buildModule({ platformId: platform.id, function: name, index, version, dependencies, body, flags })
}

const bootloader = (version: number) => module('bootloader', 0, version)
const part1 = (version: number, needs: number, flags = 0) =>
  module('system_part', 1, version, { function: 'bootloader', index: 0, version: needs }, flags)
const part2 = (version: number, flags = 0) =>
  module('system_part', 2, version, { function: 'system_part', index: 1, version }, flags)
const application = (version: number, needs: number) =>
  module('user_part', 1, version, { function: 'system_part', index: 2, version: needs })

/** A device on release 1000 with an application. */
function factory(): FaultyStorage {
  const storage = new FaultyStorage()
  const flash = new Flash(storage, platform)
  for (const bytes of [bootloader(100), part1(1000, 100), part2(1000), application(1, 1000)]) flash.install(bytes)
  flash.initialize({
    deviceId: '422b05000000000000000001',
    deviceKey: Uint8Array.of(1),
    startupMode: 'normal',
    flags: {},
  })
  return storage.clone()
}

interface Update {
  readonly name: string
  /** Files in the order in which a cloud sends them; each is sent until all of its modules are installed. */
  readonly files: readonly Uint8Array[]
}

const updates: readonly Update[] = [
  { name: 'one module', files: [application(2, 1000)] },
  {
    name: 'an application and the newer Device OS that it needs',
    files: [application(2, 2000), bootloader(200), part1(2000, 200), part2(2000)],
  },
  {
    name: 'two modules in one file',
    files: [Buffer.concat([part2(1000, moduleFlags.combined), application(3, 1000)])],
  },
  {
    name: 'a bootloader and a system part in one file',
    files: [Buffer.concat([module('bootloader', 0, 101, undefined, moduleFlags.combined), part1(1001, 100)])],
  },
]

/** The modules of a file, as they lie in slots. */
function modulesOf(file: Uint8Array): Uint8Array[] {
  const first = parseModule(file).bytes
  return first.length === file.length ? [file] : [first, ...modulesOf(file.subarray(first.length))]
}

const same = (a: Uint8Array | undefined, b: Uint8Array) => a !== undefined && Buffer.from(a).equals(b)

const isInstalled = (flash: Flash, bytes: Uint8Array) => {
  const { function: name, index } = parseModule(bytes)
  return same(flash.module(name, index), bytes)
}

/** What the system does with the flash in an update: takes a file piece by piece, checks it, and asks for a reset. */
function takeUpdate(storage: Storage, files: readonly Uint8Array[]): SystemEnd {
  const flash = new Flash(storage, platform)
  const file = files.find((candidate) => !modulesOf(candidate).every((bytes) => isInstalled(flash, bytes)))
  if (!file) return { kind: 'off' }
  flash.clearPending()
  const began = flash.staging.begin({ size: file.length, sha256: sha256(file) })
  assert.ok('offset' in began)
  for (let at = began.offset; at < file.length; at += chunkSize) {
    flash.staging.write(at, file.subarray(at, at + chunkSize))
  }
  assert.deepEqual(flash.staging.check(), { ok: true })
  assert.equal(flash.addPending(flash.staging.bytes()), 0)
  flash.staging.discard()
  return { kind: 'reset', reason: 'update' }
}

/** Runs the device until everything is installed. @returns what each boot decided */
async function converge(storage: Storage, files: readonly Uint8Array[]): Promise<BootDecision[]> {
  const decisions: BootDecision[] = []
  let done = false
  for (let boots = 0; !done; boots++) {
    assert.ok(boots < 20, 'the device does not come to an end')
    await boot({
      storage,
      platform,
      powerOn: boots === 0,
      // Whatever was accepted is whole: nothing may have to be dropped.
      log: (line) => assert.notEqual(line.level, 'error', line.message),
      signal: () => {},
      startSystem: async (decision) => {
        decisions.push(decision)
        const end = takeUpdate(storage, files)
        done = end.kind === 'off'
        return end
      },
      stay: (reason) => assert.fail(`the device stays in the bootloader: ${reason}`),
    })
  }
  return decisions
}

/** Each slot holds, to the byte, a module that it held before or one of the update's. */
function checkSlots(storage: Storage, known: readonly Uint8Array[]): void {
  const flash = new Flash(storage, platform)
  for (const slot of platform.slots as readonly ModuleRef[]) {
    const bytes = flash.module(slot.function, slot.index)
    assert.ok(
      known.some((candidate) => same(bytes, candidate)),
      `${moduleLabel(slot)} is neither old nor new`,
    )
  }
}

async function cutEverywhere(update: Update, wrap = (storage: FaultyStorage): Storage => storage): Promise<number> {
  const start = factory()
  const before = new Flash(start, platform)
  const known = [
    ...before.installed().map((installed) => installed.bytes),
    ...update.files.flatMap((file) => modulesOf(file)),
  ]
  let cuts = 0
  for (let at = 0; ; at++) {
    for (let seed = 0; seed < seeds; seed++) {
      const storage = start.clone()
      storage.cutAt(at)
      try {
        await converge(wrap(storage), update.files)
        return cuts
      } catch (error) {
        if (!(error instanceof PowerCut)) throw error
      }
      cuts++
      const where = `cut at operation ${at}, seed ${seed}`
      try {
        storage.reboot(seed < 2 ? seed : at * seeds + seed)
        checkSlots(storage, known)
        if (seed % 2 === 1) {
          // Somewhere on the way to the end the power goes away once more.
          storage.cutAt((at * 7 + seed) % 40)
          try {
            await converge(wrap(storage), update.files)
          } catch (error) {
            if (!(error instanceof PowerCut)) throw error
            storage.reboot(at + seed)
            checkSlots(storage, known)
          }
        }
        const decisions = await converge(wrap(storage), update.files)
        assert.equal(decisions.at(-1)?.mode, 'normal')
      } catch (error) {
        throw new Error(`${where}: ${error instanceof Error ? error.message : error}`, { cause: error })
      }
      const after = new Flash(storage, platform)
      for (const bytes of update.files.flatMap((file) => modulesOf(file))) assert.ok(isInstalled(after, bytes), where)
      assert.deepEqual(after.pending(), [], where)
    }
  }
}

describe('a device that loses power in an update', () => {
  for (const update of updates) {
    it(`survives it at every operation: ${update.name}`, async (test) => {
      const cuts = await cutEverywhere(update)
      assert.ok(cuts > 30 * seeds)
      test.diagnostic(`${cuts} power cuts`)
    })
  }

  it('would be found out if it did not sync', async () => {
    const [update] = updates.slice(1)
    assert.ok(update)
    const withoutSync = (storage: FaultyStorage): Storage =>
      new Proxy<Storage>(storage, {
        get: (target, name) => {
          if (name === 'sync') return () => {}
          const value = Reflect.get(target, name)
          return typeof value === 'function' ? value.bind(target) : value
        },
      })
    await assert.rejects(cutEverywhere(update, withoutSync), /neither old nor new|stays in the bootloader|damaged/)
  })

  it('resumes a transfer at what was stored', async () => {
    const file = application(2, 1000)
    let resumed = 0
    for (let at = 0; at < 40; at++) {
      const storage = factory()
      storage.cutAt(at)
      await assert.rejects(converge(storage, [file]), PowerCut).catch(() => {})
      storage.reboot(1)
      const began = new Flash(storage, platform).staging.begin({ size: file.length, sha256: sha256(file) })
      assert.ok('offset' in began && began.offset <= file.length)
      if (began.offset > 0) resumed++
    }
    assert.ok(resumed > 3)
  })
})
