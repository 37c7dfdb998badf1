/** The official CLI, unmodified, command by command against a running cloud with devices (docs/conformance.md). */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type CliStage, cliRows } from './cli-rows.ts'
import { OfficialCli } from './official-cli.ts'
import { particleCli } from './particle-cli.ts'
import { createWorld, type World } from './world.ts'

const skip = particleCli() === undefined && 'particle-cli is not installed: npm run conformance:install'

describe('particle-cli', { skip, timeout: 240_000 }, () => {
  let world: World
  let stage: CliStage
  before(async () => {
    world = await createWorld()
    const profile = (name: string, token?: string) =>
      new OfficialCli(join(world.folder, 'homes', name), world.url, token)
    const made = await world.owner.particle.post({
      uri: '/v1/user/products',
      auth: world.token,
      data: { product: { name: 'Judge', description: 'for the official CLI', platform_id: 43 } },
    })
    const product = Number((made.body as { product: { id: number } }).product.id)
    const ids = Buffer.from(world.alpha.id)
    await world.owner.particle.addDeviceToProduct({ product, file: ids })
    stage = { world, cli: profile('owner', world.token), profile, product }
  })
  after(() => world?.close())

  it('has no command that the table does not name, and the table names none that it has not', () => {
    const list = fileURLToPath(new URL('list-commands.cjs', import.meta.url))
    const found = execFileSync(process.execPath, [list, particleCli() ?? ''], { encoding: 'utf8' })
      .trim()
      .split('\n')
    assert.deepEqual(cliRows.map(({ name }) => name).sort(), found.sort())
  })

  for (const { name, outcome, note, run } of cliRows) {
    if (run) it(`${name} ${outcome}: ${note}`, () => run(stage))
    else if (outcome === 'works' || outcome === 'refuses') it(name, () => assert.fail('nothing proves it'))
  }
})
