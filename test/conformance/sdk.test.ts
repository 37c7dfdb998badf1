/** particle-api-js, unmodified, method by method against a running cloud with devices (docs/conformance.md). */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import Particle from 'particle-api-js'
import { sdkRows } from './sdk-rows.ts'
import type { SdkStage } from './sdk-stage.ts'
import { createWorld, type World } from './world.ts'

describe('particle-api-js', { timeout: 240_000 }, () => {
  let world: World
  let stage: SdkStage
  before(async () => {
    world = await createWorld({ openRegistration: true, allowPrivateWebhooks: true })
    const client = (auth?: string) => new Particle({ baseUrl: world.url, ...(auth !== undefined && { auth }) })
    const made = await world.owner.particle.post({
      uri: '/v1/user/products',
      auth: world.token,
      data: { product: { name: 'Judge', description: 'for the SDK', platform_id: 43 } },
    })
    const product = Number((made.body as { product: { id: number } }).product.id)
    await world.owner.particle.addDeviceToProduct({ product, deviceId: world.alpha.id })
    stage = { world, particle: world.owner.particle, guest: client(), product, client }
  })
  after(() => world?.close())

  for (const { name, outcome, note, run } of sdkRows) {
    it(`${name} ${outcome}: ${note}`, { timeout: 60_000 }, () => (run ? run(stage) : assert.fail('nothing proves it')))
  }
})
