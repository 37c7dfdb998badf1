/** Drives rows of particle-cli's table against a cloud of their own (docs/conformance.md). */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { CliRow, CliStage } from './cli-stage.ts'
import { OfficialCli } from './official-cli.ts'
import { particleCli } from './particle-cli.ts'
import { createWorld, type World } from './world.ts'

/** Why the CLI cannot be driven; false when it can. */
export const skip = particleCli() === undefined && 'particle-cli is not installed: npm run conformance:install'

export function cliSuite(title: string, rows: readonly CliRow[]): void {
  describe(title, { skip }, () => {
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

    for (const { name, outcome, note, run } of rows) {
      it(`${name} ${outcome}: ${note}`, () => (run ? run(stage) : assert.fail('nothing proves it')))
    }
  })
}
