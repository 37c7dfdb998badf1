import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type DescribedModule, describeChecks, type ModuleDependency, type ModuleFunction } from '@aloe/firmware'
import { describeFromJson } from '@aloe/protocol'
import { type ApiFixture, startApi } from './api-fixture.ts'

const id = '42'.repeat(12)

function described(
  name: ModuleFunction,
  index: number,
  version: number,
  ...needs: ModuleDependency[]
): DescribedModule {
  const flags = { store: 'main', maxSize: 100_000, checked: describeChecks, passed: describeChecks } as const
  return { function: name, index, version, ...flags, dependencies: needs }
}

const need = (name: ModuleFunction, index: number, version: number) => ({ function: name, index, version })

function release(system: number, bootloader: number): DescribedModule[] {
  return [
    described('bootloader', 0, bootloader),
    described('system_part', 1, system, need('bootloader', 0, bootloader)),
    described('system_part', 2, system, need('system_part', 1, system)),
  ]
}

describe('plans of the API', () => {
  let api: ApiFixture
  before(async () => {
    api = await startApi()
    await api.device(id, 'lamp')
  })
  after(() => api.close())

  const post = async (body: object) =>
    await api.request('POST', '/v1/devices/lamp/aloe/plan', {
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    })
  const labels = (body: { steps: { label: string }[] }) => body.steps.map(({ label }) => label)

  it('are not made for a device that has not said what it has', async () => {
    assert.equal((await post({})).status, 404)
    assert.equal((await api.request('GET', '/v1/devices/lamp/aloe/describe')).status, 404)
  })

  it('heal, upgrade, run an application, and go back', async () => {
    const user = described('user_part', 1, 6, need('system_part', 2, 1_000))
    api.registry.recordDescribe(id, { system: { platformId: 43, modules: [...release(1_000, 100), user] } })

    const healing = await post({})
    assert.deepEqual([healing.status, healing.body.ok, healing.body.steps], [200, true, []])

    const upgrade = await post({ target: '2.0.0', bytes_per_second: 1_000, reset_seconds: 60 })
    assert.deepEqual(labels(upgrade.body), ['bootloader 0@200', 'system_part 1@2000', 'system_part 2@2000'])
    assert.equal(upgrade.body.target, '2.0.0')
    assert.equal(upgrade.body.cost.resets, 3)
    assert.ok(upgrade.body.cost.seconds >= 180)

    const application = { index: 1, version: 7, dependencies: [need('system_part', 2, 1_101)] }
    const flash = await post({ application })
    assert.deepEqual(labels(flash.body), [
      'user_part 1@7',
      'bootloader 0@101',
      'system_part 1@1101',
      'system_part 2@1101',
    ])
    const far = await post({ application: { ...application, dependencies: [need('system_part', 2, 9_000)] } })
    assert.deepEqual([far.status, far.body.ok], [200, false])
    assert.match(far.body.reason, /the catalogue has no system_part 2@9000 or newer/)

    api.registry.recordDescribe(id, { system: { platformId: 43, modules: [...release(2_000, 200), user] } })
    const back = await post({ target: '1.0.0', downgrade: true })
    assert.deepEqual(labels(back.body), ['system_part 2@1000', 'system_part 1@1000'])
    assert.deepEqual(labels((await post({ target: '1.0.0' })).body), [])
  })

  it('start from the describe, which is there to see', async () => {
    const { status, body } = await api.request('GET', '/v1/devices/lamp/aloe/describe')
    assert.deepEqual([status, body.platform, body.platform_id], [200, 'linux', 43])
    assert.equal(describeFromJson(body.describe).modules[1]?.version, 2_000)
  })

  it('are refused with what is wrong', async () => {
    assert.equal((await post({ target: '9.9.9' })).status, 404)
    assert.equal((await post({ downgrade: true })).status, 400)
    assert.equal((await post({ reset_seconds: 'soon' })).status, 400)
    const dependencies = [need('nonsense' as ModuleFunction, 0, 1)]
    assert.equal((await post({ application: { index: 1, version: 1, dependencies } })).status, 400)
    assert.equal((await api.request('POST', '/v1/devices/lamp/aloe/plan', { token: null })).status, 400)
    assert.equal((await api.request('GET', '/v1/devices/other/aloe/describe')).status, 403)
  })
})
