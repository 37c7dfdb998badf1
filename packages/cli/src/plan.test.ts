import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { buildModule } from '@aloe/firmware'
import { runAloe } from './aloe-process.ts'

const releases = [1000, 2000].map((version) => ({
  version: `${version / 1000}.0.0`,
  platforms: {
    linux: {
      platform_id: 43,
      modules: [
        { function: 'bootloader', index: 0, version: version / 10, dependencies: [], size: 10_000 },
        {
          function: 'system_part',
          index: 1,
          version,
          dependencies: [{ function: 'bootloader', index: 0, version: version / 10 }],
          size: 20_000,
        },
        {
          function: 'system_part',
          index: 2,
          version,
          dependencies: [{ function: 'system_part', index: 1, version }],
          size: 30_000,
        },
      ],
    },
  },
}))

/** As a device describes itself (modules-and-platforms.md 4.9). */
function describedBy(version: number) {
  const common = { s: 1_000_000, l: 'm', vc: 30, vv: 30 }
  return {
    p: 43,
    m: [
      { ...common, f: 'b', n: '0', v: version / 10, d: [] },
      { ...common, f: 's', n: '1', v: version, d: [{ f: 'b', n: '0', v: version / 10 }] },
      { ...common, f: 's', n: '2', v: version, d: [{ f: 's', n: '1', v: version }] },
      { ...common, f: 'u', n: '1', v: 6, u: 'ab'.repeat(32), d: [{ f: 's', n: '2', v: 1000 }] },
    ],
  }
}

describe('aloe plan without a cloud', () => {
  let dir = ''
  const file = (name: string) => join(dir, name)
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'aloe-plan-'))
    writeFileSync(file('releases.json'), JSON.stringify({ releases }))
    writeFileSync(file('old.json'), JSON.stringify(describedBy(1000)))
    writeFileSync(file('new.json'), JSON.stringify({ platform: 'linux', describe: describedBy(2000) }))
    const body = new TextEncoder().encode('exports.loop = () => {}')
    const dependencies = [{ function: 'system_part', index: 2, version: 2000 } as const]
    writeFileSync(
      file('app.bin'),
      buildModule({ platformId: 43, function: 'user_part', index: 1, version: 7, dependencies, body }),
    )
  })
  after(() => rmSync(dir, { recursive: true, force: true }))

  const plan = async (...args: string[]) => await runAloe(['plan', '--catalogue', file('releases.json'), ...args])

  it('shows what an application takes, and why', async () => {
    const { code, out } = await plan('--describe', file('old.json'), '--app', file('app.bin'))
    assert.equal(code, 0)
    assert.match(out, /4 modules, .*, 4 resets, about/)
    assert.match(out, /1 +application user_part 1@7 .*it is asked for/)
    assert.match(out, /2 +bootloader 0@200 \(2.0.0\) +10.0 KB .*system_part 1@2000 needs bootloader 0@200/)
    assert.match(out, /4 +system_part 2@2000 \(2.0.0\).*user_part 1@7 needs system_part 2@2000/)
  })

  it('prints it as JSON', async () => {
    const { out } = await plan(
      '--describe',
      file('old.json'),
      '--target',
      '2.0.0',
      '--json',
      '--rate',
      '1000',
      '--reset',
      '10',
    )
    const document = JSON.parse(out)
    assert.deepEqual([document.ok, document.platform, document.target], [true, 'linux', '2.0.0'])
    assert.deepEqual(document.cost, { modules: 3, transfers: 3, bytes: 60_000, exact: true, resets: 3, seconds: 90 })
  })

  it('goes down when told to', async () => {
    const { out } = await plan('--describe', file('new.json'), '--target', '1.0.0', '--downgrade', '--json')
    assert.deepEqual(
      JSON.parse(out).steps.map(({ label }: { label: string }) => label),
      ['system_part 2@1000', 'system_part 1@1000'],
    )
    const same = await plan('--describe', file('new.json'), '--target', '1.0.0')
    assert.match(same.out, /needs nothing/)
  })

  it('ends with code 1 and what is missing when there is no plan', async () => {
    const request = { ...describedBy(1000), need: [{ function: 'system_part', index: 2, version: 3000 }] }
    writeFileSync(file('far.json'), JSON.stringify(request))
    const { code, err } = await plan('--describe', file('far.json'))
    assert.equal(code, 1)
    assert.match(err, /the catalogue has no system_part 2@3000 or newer/)
    const json = await plan('--describe', file('far.json'), '--json')
    assert.equal(JSON.parse(json.out).ok, false)
  })

  it('says what is wrong with its arguments and files', async () => {
    assert.equal((await plan()).code, 2)
    assert.equal((await plan('--describe', file('app.bin'))).code, 2)
    assert.equal((await plan('--describe', file('old.json'), '--target', '9.0.0')).code, 2)
  })
})
