import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { moduleBytes, releaseFiles } from '../catalogue/release-fixture.ts'
import { type ApiFixture, password, startApi } from './api-fixture.ts'

describe('the catalogue in the API', () => {
  let api: ApiFixture
  let admin = ''
  before(async () => {
    api = await startApi()
    const user = await api.identity.users.create('root@example.com', password, { administrator: true })
    admin = (await api.identity.tokens.issue(user.id, 'particle', null)).token
  })
  after(() => api.close())

  const url = '/v1/aloe/device-os'
  const send = (method: string, path: string, body?: object) =>
    api.request(method, path, {
      token: admin,
      ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
  const upload = (files: readonly { name: string; bytes: Uint8Array }[], fields: Record<string, string> = {}) => {
    const body = new FormData()
    for (const [name, value] of Object.entries(fields)) body.append(name, value)
    for (const { name, bytes } of files) body.append('file', new Blob([Uint8Array.from(bytes)]), name)
    return api.request('POST', url, { token: admin, body })
  }

  it('is for administrators', async () => {
    for (const [method, path] of [
      ['POST', url],
      ['GET', url],
      ['GET', `${url}/2.0.0`],
      ['PUT', `${url}/2.0.0`],
      ['DELETE', `${url}/2.0.0`],
    ] as const) {
      assert.equal((await api.request(method, path)).status, 403, `${method} ${path}`)
    }
  })

  it('takes modules, and serves them at once as real clouds do', async () => {
    const argon = releaseFiles('argon', '6.2.0', 6200, 3100)
    const { status, body } = await upload([...argon, ...releaseFiles('boron', '6.2.0', 6200, 3100)], {
      from: 'a download',
    })
    assert.equal(status, 200)
    assert.deepEqual([body.ok, body.imported.length, body.refused], [true, 6, []])

    const list = (await api.request('GET', '/v1/device-os/versions?platform_id=12')).body
    const [version] = list.versions
    assert.deepEqual(
      [version.version, version.internal_version, version.state, version.release_state],
      ['6.2.0', 6200, 'release', 'ga'],
    )
    assert.deepEqual(
      [version.supported_platforms, version.default_platforms],
      [
        [12, 13],
        [12, 13],
      ],
    )
    assert.equal(list.meta.total, 1)

    const one = (await api.request('GET', '/v1/device-os/versions/6200?platform_id=12')).body
    assert.deepEqual(
      one.modules.map(({ filename }: { filename: string }) => filename),
      argon.map(({ name }) => name),
    )
    const both = (await api.request('GET', '/v1/device-os/versions/6.2.0')).body
    assert.equal(both.modules.length, 6)

    const file = `${one.base_url}/${argon[1]?.name}`
    const response = await fetch(file)
    assert.deepEqual(Buffer.from(await response.arrayBuffer()), Buffer.from(argon[1]?.bytes ?? []))
    assert.match(response.headers.get('cache-control') ?? '', /immutable/)
    const etag = response.headers.get('etag') ?? ''
    assert.equal((await fetch(file, { headers: { 'if-none-match': etag } })).status, 304)

    const targets = (await api.request('GET', '/v1/build_targets')).body
    const target = targets.targets.find((entry: { version: string }) => entry.version === '6.2.0')
    assert.deepEqual([target.platforms, target.prereleases], [[12, 13], []])
    assert.deepEqual([targets.platforms.Argon, targets.default_versions['12']], [12, '6.2.0'])
  })

  it('gives a release as an archive, which can be imported again', async () => {
    const { base_url } = (await api.request('GET', '/v1/device-os/versions/6.2.0')).body
    const response = await fetch(`${base_url}/particle_device-os@6.2.0+argon.binaries.zip`)
    assert.equal(response.headers.get('content-type'), 'application/zip')
    const bytes = new Uint8Array(await response.arrayBuffer())
    assert.equal(response.headers.get('content-length'), String(bytes.length))
    const again = await upload([{ name: 'particle_device-os@6.2.0+argon.binaries.zip', bytes }])
    assert.deepEqual([again.body.ok, again.body.duplicates.length], [true, 3])
    const all = await fetch(`${base_url}/particle_device-os@6.2.0.zip`)
    const whole = new Uint8Array(await all.arrayBuffer())
    assert.equal((await upload([{ name: 'all.zip', bytes: whole }])).body.duplicates.length, 6)
    for (const name of [
      'particle_device-os@6.2.0+p2.binaries.zip',
      'particle_device-os@6.3.0.zip',
      '..%2fmanifest.json',
    ]) {
      assert.equal((await fetch(`${base_url}/${name}`)).status, 404, name)
    }
  })

  it('lists what it refused, and takes the rest', async () => {
    const other = moduleBytes('argon', { function: 'system_part', index: 1, version: 6200, body: 'other' })
    const { body } = await upload([
      { name: 'argon-system-part1@6.2.0.bin', bytes: other },
      { name: 'broken.zip', bytes: new Uint8Array(30) },
      { name: 'README.md', bytes: new Uint8Array(3) },
      ...releaseFiles('argon', '6.3.0-rc.1', 6301, 3101),
    ])
    assert.deepEqual([body.ok, body.imported.length, body.skipped.length], [false, 3, 1])
    assert.deepEqual(
      body.refused.map(({ code }: { code: string }) => code),
      ['different-file', 'archive'],
    )
    assert.equal((await upload([])).status, 400)
  })

  it('tells of releases, changes them and removes them', async () => {
    const pre = (await api.request('GET', '/v1/device-os/versions/6.3.0-rc.1?platform_id=12')).body
    assert.deepEqual([pre.state, pre.release_state, pre.default_platforms], ['pre_release', 'archived', []])
    const refused = await send('PUT', `${url}/6.3.0-rc.1`, { default: true, platform: 'argon' })
    assert.equal(refused.status, 400)
    assert.match(refused.body.error, /is a pre-release: allow it as a default/)
    const change = { default: true, platform: 'argon', allow_prerelease: true, notes: 'for the lab' }
    assert.equal((await send('PUT', `${url}/6.3.0-rc.1`, change)).status, 200)
    const { body } = await send('GET', `${url}?platform=argon`)
    const [first] = body.releases
    assert.deepEqual([first.version, first.state, first.notes], ['6.3.0-rc.1', 'pre_release', 'for the lab'])
    assert.deepEqual(first.default_platforms, ['argon'])
    const [shown] = (await send('GET', `${url}/6.2.0?platform=boron`)).body.releases
    assert.equal(shown.imported.from, 'a download')
    assert.equal(shown.modules[1].dependencies[0], 'bootloader 0@3100')
    assert.equal((await send('PUT', `${url}/6.2.0`, { state: 'lts' })).body.releases[0].state, 'lts')
    assert.equal((await send('PUT', `${url}/6.2.0`, { state: 'best' })).status, 400)
    assert.equal((await send('PUT', `${url}/6.2.0`, {})).status, 400)
    assert.equal((await send('GET', `${url}/9.9.9`)).status, 404)
    assert.equal((await send('GET', `${url}?platform=toaster`)).status, 400)
    assert.equal((await send('DELETE', `${url}/2.0.0`)).status, 409)
    assert.deepEqual((await send('DELETE', `${url}/6.2.0?platform=boron`)).body.platforms, ['boron'])
    assert.equal((await api.request('GET', '/v1/device-os/versions/6.2.0?platform_id=13')).status, 404)
    assert.equal((await api.request('GET', '/v1/device-os/versions/6.2.0?platform_id=12')).status, 200)
  })
})
