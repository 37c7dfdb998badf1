import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sha256, updateResult } from '@aloe/firmware'
import type { UpdateError } from '@aloe/protocol'
import { readPending } from './pending-slots.ts'
import { flashWith, moduleOf, platformNamed } from './twin-fixture.ts'
import type { TwinFlash } from './twin-flash.ts'
import { TwinUpdates } from './twin-updates.ts'

const boron = platformNamed('boron')
const argon = platformNamed('argon')
const photon = platformNamed('photon')
const before = 'b0@2601 s1@5802 a0@202'

interface World {
  now: number
  allowed: boolean
  resumes: boolean
  applied: number
  refused: number[]
}

function engine(flash: TwinFlash, world: Partial<World> = {}) {
  const state: World = { now: 0, allowed: true, resumes: true, applied: 0, refused: [], ...world }
  const updates = new TwinUpdates(flash, {
    now: () => state.now,
    allowed: () => state.allowed,
    resumes: () => state.resumes,
    applied: () => state.applied++,
    refused: (code) => state.refused.push(code),
  })
  return { updates, state }
}

const request = (file: Uint8Array) => ({ size: file.length, sha256: sha256(file), discard: false, chunkSize: 1_024 })

function code(result: UpdateError | object): number {
  return 'error' in result && typeof result.error === 'number' ? result.error : 0
}

/** Sends a whole file; the result of its end. */
function send(flash: TwinFlash, file: Uint8Array, world: Partial<World> = {}): number {
  const { updates } = engine(flash, world)
  const begun = updates.begin(request(file))
  if ('error' in begun) return begun.error
  updates.write(0, file)
  return code(updates.finish())
}

describe('an update of a board', () => {
  it('is refused with the code of what is wrong with it (modules-and-platforms.md 4.2, 4.3)', () => {
    const flash = flashWith(boron, before)
    const ok = moduleOf(boron, 's1@6200(b0@2600,a0@202)')
    assert.equal(send(flash, ok), 0)
    assert.equal(send(flash, moduleOf(boron, 's1@6200(b0@3100,a0@202)')), updateResult.dependencyCheckFailed)
    const damaged = ok.slice()
    damaged[4_000] = (damaged[4_000] ?? 0) ^ 1
    assert.equal(send(flash, damaged), updateResult.integrityCheckFailed)
    assert.equal(send(flash, moduleOf(argon, 's1@6200(b0@2600,a0@202)')), updateResult.invalidPlatform)
    assert.equal(send(flash, moduleOf(photon, 's2@3302')), updateResult.moduleNotFound)
    assert.equal(send(flash, ok, { allowed: false }), updateResult.updatesDisabled)
    const { updates } = engine(flash)
    assert.equal(code(updates.begin({ ...request(ok), size: 2_000_000 })), updateResult.invalidSize)
  })

  it('takes an application whose Device OS is missing', () => {
    assert.equal(send(flashWith(boron, before), moduleOf(boron, 'u2@6(s1@6305)', 900)), 0)
  })

  it('leaves a dependency on a bootloader in second place to the boot check', () => {
    const flash = flashWith(argon, 's1@1512 b0@502 a0@202 c0@5')
    assert.equal(send(flash, moduleOf(argon, 's1@6305(a0@202,b0@3100)')), 0)
  })

  it('waits for the bootloader in the list that survives a power cut', () => {
    const flash = flashWith(boron, before)
    const { updates, state } = engine(flash)
    const file = moduleOf(boron, 's1@6200(b0@2600,a0@202)')
    updates.begin(request(file))
    updates.write(0, file)
    updates.finish()
    assert.deepEqual(readPending(flash.storage), [])
    updates.apply()
    assert.equal(state.applied, 1)
    const [pending] = readPending(flash.storage)
    assert.deepEqual([pending?.function, pending?.offset, pending?.length], ['system_part', 0, file.length])
    updates.begin(request(file))
    assert.deepEqual(readPending(flash.storage), [])
  })

  it('goes on where a lost connection ended it', () => {
    const flash = flashWith(boron, before)
    const file = moduleOf(boron, 's1@6200(b0@2600,a0@202)')
    const first = engine(flash).updates
    first.begin(request(file))
    first.write(0, file.slice(0, 1_024))
    first.write(2_048, file.slice(2_048, 3_072))
    first.cancel(false)
    // What lies behind the gap does not count.
    assert.deepEqual(engine(flash).updates.begin(request(file)), { offset: 1_024 })
  })

  it('remembers nothing of a transfer that a watchdog ended within half a minute', () => {
    const flash = flashWith(boron, before)
    const file = moduleOf(boron, 's1@6200(b0@2600,a0@202)')
    const bitten = (seconds: number) => {
      const { updates, state } = engine(flash)
      updates.begin(request(file))
      updates.write(0, file.slice(0, 1_024))
      state.now = seconds * 1_000
      updates.write(1_024, file.slice(1_024, 2_048))
      updates.abandon()
      return engine(flash).updates.begin(request(file))
    }
    assert.deepEqual(bitten(15), { offset: 0 })
    assert.deepEqual(bitten(31), { offset: 2_048 })
  })

  it('starts from zero for another file, on demand, without hash, when what is kept is damaged, and where boards cannot', () => {
    const file = moduleOf(boron, 's1@6200(b0@2600,a0@202)')
    const after = (change: (flash: TwinFlash) => Parameters<TwinUpdates['begin']>[0], resumes = true) => {
      const flash = flashWith(boron, before)
      const { updates } = engine(flash, { resumes })
      updates.begin(request(file))
      updates.write(0, file.slice(0, 2_048))
      updates.cancel(false)
      return engine(flash, { resumes }).updates.begin(change(flash))
    }
    const { sha256: _, ...withoutHash } = request(file)
    assert.deepEqual(
      after(() => request(file)),
      { offset: 2_048 },
    )
    assert.deepEqual(
      after(() => request(moduleOf(boron, 's1@6201(b0@2600,a0@202)'))),
      { offset: 0 },
    )
    assert.deepEqual(
      after(() => ({ ...request(file), discard: true })),
      { offset: 0 },
    )
    assert.deepEqual(
      after(() => withoutHash),
      { offset: 0 },
    )
    assert.deepEqual(
      after(() => request(file), false),
      { offset: 0 },
    )
    const damaged = after((flash) => {
      flash.receive(100, Uint8Array.of(1, 2, 3))
      return request(file)
    })
    assert.deepEqual(damaged, { offset: 0 })
  })

  it('forgets a file that was of no use, and says so', () => {
    const flash = flashWith(boron, before)
    const { updates, state } = engine(flash)
    const file = moduleOf(boron, 's1@6200(b0@3100)')
    updates.begin(request(file))
    updates.write(0, file)
    updates.finish()
    updates.cancel(false)
    assert.deepEqual(state.refused, [updateResult.dependencyCheckFailed])
    assert.equal(flash.transfer(), undefined)
  })
})
