/** particle-api-js: events and integrations. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { type SdkRow, soon, works } from './sdk-stage.ts'
import { eventually } from './world.ts'

/** Times the SDK asked a server for something. */
async function listening(answer: (path: string) => string) {
  const paths: string[] = []
  const server = createServer((request, response) => {
    paths.push(String(request.url))
    response.end(answer(String(request.url)))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, paths, close: () => server.close() }
}

export const eventRows: readonly SdkRow[] = [
  works('getEventStream', 'own devices, one device, a product, a prefix', async ({ particle, product, world }) => {
    for (const form of [
      { deviceId: 'mine' },
      { deviceId: 'alpha', name: 'judge/led' },
      { product },
      { product, deviceId: world.alpha.id, name: 'judge' },
      { name: 'judge' },
    ]) {
      const stream = await particle.getEventStream(form)
      const came = new Promise<{ name: string; data: string; coreid: string }>((resolve) => {
        stream.on('event', (event: { name: string; data: string; coreid: string }) => {
          if (event.name === 'judge/led') resolve(event)
        })
      })
      // Devices publish once a second, after a burst (cloud-api.md 4).
      await delay(1_000)
      await particle.callFunction({ deviceId: 'alpha', name: 'led', argument: 'on' })
      const event = await soon(came, JSON.stringify(form))
      stream.abort()
      stream.stopIdleTimeout()
      assert.deepEqual([event.data, event.coreid], ['on', world.alpha.id], JSON.stringify(form))
    }
  }),
  works('publishEvent', 'a device that subscribes hears it; to a product', async ({ particle, product }) => {
    await particle.publishEvent({ name: 'judge/hear', data: 'from the SDK', isPrivate: true })
    await eventually('the device heard it', async () => {
      return (
        (await particle.getVariable({ deviceId: 'alpha', name: 'heard' })).body.result === 'judge/hear=from the SDK'
      )
    })
    const stream = await particle.getEventStream({ product, name: 'judge/product' })
    const came = new Promise<{ data: string }>((resolve) => stream.on('event', resolve))
    await particle.publishEvent({ product, name: 'judge/product', data: 'there' })
    assert.equal((await soon(came, 'the product’s event')).data, 'there')
    stream.abort()
    stream.stopIdleTimeout()
  }),
  works('createWebhook', 'it fires, and the answer comes back as an event', async (stage) => {
    const { particle } = stage
    const server = await listening(() => 'fine')
    const { body } = await particle.createWebhook({
      event: 'judge/hook',
      url: `${server.url}/{{{PARTICLE_EVENT_VALUE}}}`,
    })
    assert.ok(body.id)
    hook = body.id
    const stream = await particle.getEventStream({ deviceId: 'mine', name: 'hook-response/judge' })
    const came = new Promise<{ name: string; data: string }>((resolve) => stream.on('event', resolve))
    await particle.publishEvent({ name: 'judge/hook', data: 'x' })
    const response = await soon(came, 'the response')
    assert.deepEqual([response.name, response.data], ['hook-response/judge/hook/0', 'fine'])
    stream.abort()
    stream.stopIdleTimeout()
    server.close()
    assert.deepEqual(server.paths, ['/x'])
  }),
  works('listWebhooks', 'own and a product’s', async ({ particle, product }) => {
    assert.ok((await particle.listWebhooks({})).body.some(({ id }: { id: string }) => id === hook))
    assert.deepEqual((await particle.listWebhooks({ product })).body, [])
  }),
  works('deleteWebhook', 'it is gone', async ({ particle }) => {
    await particle.deleteWebhook({ hookId: hook })
    assert.ok(!(await particle.listWebhooks({})).body.some(({ id }: { id: string }) => id === hook))
  }),
  works('createIntegration', 'own and a product’s', async ({ particle, product }) => {
    const settings = { url: 'https://example.com', requestType: 'POST' }
    hook = (await particle.createIntegration({ event: 'judge/int', settings })).body.id
    assert.ok(hook)
    productHook = (await particle.createIntegration({ product, event: 'judge/int', settings })).body.id
    assert.ok(productHook)
  }),
  works('listIntegrations', 'with type, event and URL', async ({ particle, product }) => {
    const [found] = (await particle.listIntegrations({})).body
    assert.deepEqual([found.id, found.event, found.integration_type], [hook, 'judge/int', 'Webhook'])
    assert.equal((await particle.listIntegrations({ product })).body[0].id, productHook)
  }),
  works('editIntegration', 'replaced as a whole', async ({ particle }) => {
    await particle.editIntegration({
      integrationId: hook,
      event: 'judge/other',
      settings: { url: 'https://example.org' },
    })
    assert.equal((await particle.listIntegrations({})).body[0].event, 'judge/other')
  }),
  works('deleteIntegration', 'it is gone', async ({ particle, product }) => {
    await particle.deleteIntegration({ integrationId: hook })
    await particle.deleteIntegration({ product, integrationId: productHook })
    assert.deepEqual((await particle.listIntegrations({})).body, [])
    assert.deepEqual((await particle.listIntegrations({ product })).body, [])
  }),
]

let hook = ''
let productHook = ''
