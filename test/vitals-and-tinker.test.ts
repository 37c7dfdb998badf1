/** A whole cloud with a real device: vitals there and back, tinker by its name, and a stream across a restart. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { deflateRawSync } from 'node:zlib'
import { buildBundle } from '@aloe/firmware'
import { createWorld, eventually, type World } from './conformance/world.ts'

describe('a cloud with a device', () => {
  let world: World
  before(async () => {
    world = await createWorld()
  })
  after(() => world.close())

  async function ask(method: string, path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${world.token}`, ...init.headers }
    return await fetch(world.url + path, { ...init, method, headers })
  }

  it('asks for vitals, keeps them, and has them as CSV', async () => {
    const updated = await ask('POST', '/v1/diagnostics/alpha/update')
    assert.equal(updated.status, 202)
    assert.deepEqual(await updated.json(), { ok: true })
    const last = await eventually('the vitals come', async () => {
      const response = await ask('GET', '/v1/diagnostics/alpha/last')
      return response.status === 200 && ((await response.json()) as { diagnostics: Vitals }).diagnostics
    })
    assert.equal(last.deviceID, world.alpha.id)
    assert.equal(last.payload.device.cloud?.connection?.status, 'connected')
    assert.equal(last.payload.service.device?.status, 'ok')
    assert.ok((last.payload.service.cloud?.uptime ?? -1) >= 0)
    assert.ok((last.payload.service.coap?.round_trip ?? -1) >= 0)

    const history = (await (await ask('GET', '/v1/diagnostics/alpha')).json()) as { diagnostics: Vitals[] }
    assert.deepEqual(history.diagnostics[0], last)
    const none = await ask('GET', '/v1/diagnostics/alpha?start_date=2020-01-01&end_date=2020-02-01T00:00:00Z')
    assert.deepEqual(await none.json(), { diagnostics: [] })
    for (const query of ['start_date=x', 'end_date=12', 'start_date=2021-01-02&end_date=2021-01-01']) {
      const bad = await ask('GET', `/v1/diagnostics/alpha?${query}`)
      assert.equal(bad.status, 400)
      assert.equal(((await bad.json()) as { error: string }).error, 'bad_request')
    }
    const csv = await ask('GET', '/v1/diagnostics/alpha', { headers: { accept: 'text/csv' } })
    assert.match(csv.headers.get('content-type') ?? '', /^text\/csv/)
    assert.match(await csv.text(), /^updated_at,deviceID,device\.[\s\S]*\r\n\d{4}-.*connected/)
    assert.equal((await ask('POST', `/v1/diagnostics/${'f'.repeat(24)}/update`)).status, 403)
  })

  it('flashes tinker by its name, and the device does what it is told', async () => {
    const { particle } = world.owner
    const flashed = await ask('PUT', '/v1/devices/beta', {
      headers: { 'content-type': 'application/json' },
      body: '{"app":"tinker"}',
    })
    assert.equal(flashed.status, 200, await flashed.text())
    await eventually('beta has tinker', async () => {
      const { functions } = (await particle.getDevice({ deviceId: 'beta' })).body
      return (functions ?? []).includes('digitalwrite')
    })
    const call = async (name: string, argument: string) =>
      (await particle.callFunction({ deviceId: 'beta', name, argument })).body.return_value
    assert.equal(await call('digitalwrite', 'D7,HIGH'), 1)
    assert.equal(await call('digitalwrite', 'D7,MAYBE'), -3)
    assert.equal(await call('digitalwrite', 'X7,HIGH'), -1)
    assert.ok([0, 1].includes(await call('digitalread', 'D2')))
    assert.equal(await call('analogwrite', 'A0,128'), 1)
    assert.ok((await call('analogread', 'A1')) >= 0)
  })

  it('flashes a bundle: the application, then its assets; and no zip bomb', async () => {
    const { particle } = world.owner
    const text = new TextEncoder().encode('hello asset\n')
    const application = { name: 'app.bin', data: world.module }
    const bundle = Buffer.from(buildBundle({ application, assets: [{ name: 'hello.txt', data: text }] }))
    const flashed = await particle.flashDevice({ deviceId: 'alpha', files: { '/home/ada/bundle.zip': bundle } })
    assert.equal((flashed.body as { status?: string }).status, 'Update started')
    await eventually('alpha has the asset', async () => {
      const response = await ask('GET', '/v1/devices/alpha/aloe/describe')
      const { assets } = (await response.json()) as { assets: { name: string }[] | null }
      return assets?.some(({ name }) => name === 'hello.txt')
    })
    await assert.rejects(
      particle.flashDevice({ deviceId: 'alpha', files: { 'bomb.zip': bomb() } }),
      ({ statusCode, body }: { statusCode: number; body: { error: string } }) => {
        assert.equal(statusCode, 400, body.error)
        return true
      },
    )
  })
})

/** A zip archive of 64 KB that unpacks to 64 MiB. */
function bomb(): Buffer {
  const data = deflateRawSync(Buffer.alloc(64 * 1024 * 1024))
  const name = Buffer.from('app.bin')
  const sizes = Buffer.alloc(12)
  sizes.writeUInt32LE(data.length, 4)
  sizes.writeUInt32LE(64 * 1024 * 1024, 8)
  const local = Buffer.alloc(30)
  local.writeUInt32LE(0x04034b50, 0)
  local.writeUInt16LE(8, 8)
  sizes.copy(local, 14)
  local.writeUInt16LE(name.length, 26)
  const central = Buffer.alloc(46)
  central.writeUInt32LE(0x02014b50, 0)
  central.writeUInt16LE(8, 10)
  sizes.copy(central, 16)
  central.writeUInt16LE(name.length, 28)
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(1, 8)
  end.writeUInt16LE(1, 10)
  end.writeUInt32LE(central.length + name.length, 12)
  end.writeUInt32LE(local.length + name.length + data.length, 16)
  return Buffer.concat([local, name, data, central, name, end])
}

interface Vitals {
  readonly updated_at: string
  readonly deviceID: string
  readonly payload: {
    readonly device: { readonly cloud?: { readonly connection?: { readonly status?: string } } }
    readonly service: {
      readonly device?: { readonly status?: string }
      readonly cloud?: { readonly uptime?: number }
      readonly coap?: { readonly round_trip?: number }
    }
  }
}
