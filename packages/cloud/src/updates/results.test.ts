import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { updateResult } from '@aloe/firmware'
import { linuxApplication } from '../gateway/fake-device.ts'
import { nextStepFor, type Reaction, reactions, reactionTo } from './results.ts'
import { fixtureRelease, SimulatedDevice, startWorld, type UpdatesWorld } from './updates-fixture.ts'

const id = '422b00000000000000000001'
const second = 1_000
const minute = 60 * second

const old = fixtureRelease('1.0.0', 1_000, 100)
const young = fixtureRelease('2.0.0', 2_000, 200)

describe('results of updates', () => {
  let world: UpdatesWorld
  let device: SimulatedDevice
  beforeEach(async () => {
    world = await startWorld([old.release, young.release])
    device = new SimulatedDevice(id, [...old.files, linuxApplication(2_000)])
    world.gateway.add(device)
  })
  afterEach(() => world.close())

  const attempts = () => device.log.filter((line) => line.startsWith('begin')).length
  const heal = async () => (await world.updates.jobs(id)).find(({ kind }) => kind === 'heal')

  /** What the healer does when each first answer of the device is this code. */
  const expected: Record<Reaction, (code: number) => Promise<void>> = {
    async retry(code) {
      assert.equal((await heal())?.state, 'waiting', `${code}`)
      assert.equal((await heal())?.detail.wait?.cause, 'backoff')
      await world.clock.pass(10 * minute)
      assert.equal((await heal())?.state, 'done')
      assert.equal(attempts(), 4)
    },
    async restart() {
      await world.clock.pass(10 * minute)
      assert.equal((await heal())?.state, 'done')
      assert.equal((await heal())?.detail.failures['bootloader 0@200'], 1)
      assert.equal(attempts(), 4)
    },
    // Nothing was compressed: there is no other form of it.
    async plain(code) {
      await expected['give-up'](code)
    },
    async replan() {
      await world.clock.pass(10 * minute)
      assert.equal((await heal())?.state, 'done')
      assert.equal((await heal())?.detail.failures['bootloader 0@200'], 1)
    },
    async wait() {
      assert.equal((await heal())?.detail.wait?.cause, 'updates-disabled')
      world.gateway.enableUpdates(device, true)
      await world.clock.pass(10 * minute)
      assert.equal((await heal())?.state, 'done')
    },
    async again(code) {
      await expected.retry(code)
    },
    async 'give-up'(code) {
      const { state, detail } = (await heal()) ?? {}
      assert.equal(state, 'failed')
      assert.equal(detail?.code, code)
      assert.equal(detail?.next, nextStepFor(code))
      await world.clock.pass(10 * minute)
      assert.equal(attempts(), 1)
    },
  }

  for (const [name, code] of Object.entries(updateResult)) {
    if (code === 0) continue
    const reaction = reactions[code]?.reaction
    it(`${name} (${code}): ${reaction}`, async () => {
      assert.ok(reaction)
      let refusals = 1
      const at = reaction === 'wait' ? 'start' : 'finish'
      device.onUpdate = (stage) => (stage === at && refusals-- > 0 ? code : undefined)
      world.gateway.connect(device)
      await world.clock.pass(3 * second)
      await expected[reaction](code)
    })
  }

  it('are about the transfer when they come in the middle of it', () => {
    const answer = { code: updateResult.timeout, interrupted: false } as const
    assert.equal(reactionTo({ ...answer, stage: 'transfer' }, false), 'again')
    assert.equal(reactionTo({ ...answer, stage: 'start' }, false), 'retry')
    assert.equal(reactionTo({ code: -1_300, stage: 'finish', interrupted: true }, false), 'again')
    assert.equal(reactionTo({ code: -99_999, stage: 'finish', interrupted: false }, false), 'retry')
  })

  it('that are about the form of a file lead to the plain one', async () => {
    await world.close()
    const text = fixtureRelease('2.0.0', 2_000, 200, 30_000, true)
    world = await startWorld([old.release, text.release])
    world.gateway.add(device)
    const sizes: number[] = []
    device.onUpdate = (stage, file) => {
      if (stage === 'start') sizes.push(file.length)
      return stage === 'finish' && sizes.length === 2 ? -1_310 : undefined
    }
    world.gateway.connect(device)
    await world.clock.pass(5 * minute)
    assert.equal((await heal())?.state, 'done')
    const [bootloader = 0, part1 = 0, plain = 0] = sizes
    assert.ok(bootloader > 30_000, 'bootloaders are never compressed')
    assert.ok(part1 < 10_000 && plain > 30_000, `${sizes}`)
  })
})
