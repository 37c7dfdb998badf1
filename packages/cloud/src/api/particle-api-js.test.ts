/** The official SDK, unchanged, against the API on a real socket: its Appendix A methods in cloud-api.md. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import Particle from 'particle-api-js'
import { type ApiFixture, devicePem, password, startApi, username } from './api-fixture.ts'

const id = '422b00000000000000000001'
const otherId = '422b00000000000000000002'

interface Failure {
  readonly statusCode: number
  readonly body: { readonly error?: string; readonly errors?: readonly string[] }
  readonly shortErrorDescription?: string
}

interface Stream {
  on(event: string, listener: (value: StreamEvent) => void): void
  abort(): void
  /** Private to the SDK; without it the timer of an aborted stream keeps the process for 15 s. */
  stopIdleTimeout(): void
}

interface StreamEvent {
  readonly name: string
  readonly data: string | null
  readonly ttl: number
  readonly published_at: string
  readonly coreid: string
}

/** What came, where the SDK's types are behind the API. */
// biome-ignore lint/suspicious/noExplicitAny: the assertions are the types
async function bodyOf(promise: Promise<{ body: unknown }>): Promise<any> {
  return (await promise).body
}

async function failureOf(promise: Promise<unknown>): Promise<Failure> {
  return promise.then(
    () => assert.fail('it succeeded'),
    (error: Failure) => error,
  )
}

describe('particle-api-js against the API', () => {
  let api: ApiFixture
  let particle: Particle
  let auth: string

  before(async () => {
    api = await startApi()
    particle = new Particle({ baseUrl: api.url })
  })
  after(() => api.close())

  it('logs in, and is told when it may not', async () => {
    const { body } = await particle.login({ username, password })
    assert.match(body.access_token, /^[0-9a-f]{40}$/)
    assert.equal(body.expires_in, 7_776_000)
    assert.equal(body.token_type, 'bearer')
    auth = body.access_token
    particle.setDefaultAuth(auth)

    const wrong = await failureOf(particle.login({ username, password: 'wrong' }))
    assert.equal(wrong.statusCode, 400)
    assert.equal(wrong.body.error, 'invalid_grant')
    const bad = await failureOf(particle.getUserInfo({ auth: '0'.repeat(40) }))
    assert.equal(bad.statusCode, 401)
    assert.equal(bad.body.error, 'invalid_token')
    const eternal = await particle.login({ username, password, tokenDuration: 0 })
    assert.equal(eternal.body.expires_in, 0)
  })

  it('knows its user and changes it', async () => {
    const { body } = await particle.getUserInfo({ auth })
    assert.equal(body.username, username)
    await particle.setUserInfo({ accountInfo: { first_name: 'Ada' }, auth })
    assert.deepEqual((await particle.getUserInfo({ auth })).body.account_info, { first_name: 'Ada' })
    const refused = await failureOf(
      particle.changeUserPassword({ currentPassword: 'wrong', password: 'another one', auth }),
    )
    assert.equal(refused.statusCode, 403)
    await particle.changeUserPassword({ currentPassword: password, password: 'another one', auth })
    await particle.changeUserPassword({ currentPassword: 'another one', password, auth })
    const identity = await particle.trackingIdentity({ full: true, auth })
    assert.equal(identity.body.email, username)
  })

  it('lets an administrator make users', async () => {
    const user = { username: 'new@example.com', password: 'long enough' }
    assert.equal((await failureOf(particle.createUser({ ...user, auth: '' }))).statusCode, 403)
    await api.identity.ensureAdministrator({ username: 'admin', password: 'administrator' })
    const admin = (await particle.login({ username: 'admin', password: 'administrator' })).body.access_token
    await particle.post({
      uri: '/v1/users',
      auth: admin,
      data: { ...user, account_info: { first_name: 'New' } },
    })
    const { body } = await particle.login(user)
    const deleted = await particle.deleteUser({ password: user.password, auth: body.access_token })
    assert.equal(deleted.statusCode, 200)
    assert.equal((await failureOf(particle.login(user))).statusCode, 400)
  })

  it('registers a key, claims the device, names it, notes it', async () => {
    await particle.sendPublicKey({ deviceId: id, key: devicePem(), algorithm: 'rsa', auth })
    api.registry.recordConnection(id, { platformId: 43, address: '192.0.2.7' })
    const claimed = await particle.claimDevice({ deviceId: id, auth })
    assert.equal(claimed.body.ok, true)
    assert.equal(claimed.body.deviceID, id)
    const renamed = await particle.renameDevice({ deviceId: id, name: 'lamp', auth })
    assert.equal(renamed.body.name, 'lamp')
    const noted = await particle.setDeviceNotes({ deviceId: 'lamp', notes: 'desk', auth })
    assert.equal(noted.body.notes, 'desk')

    const body = await bodyOf(particle.getDevice({ deviceId: 'LAMP', auth }))
    assert.equal(body.id, id)
    assert.equal(body.owner, username)
    assert.equal(body.connected, false)
    assert.equal(body.notes, 'desk')
    const list = await particle.listDevices({ auth })
    assert.ok(Array.isArray(list.body))
    assert.deepEqual(
      list.body.map((device: { name: string }) => device.name),
      ['lamp'],
    )
  })

  it('does not show or give away a device that is somebody else’s', async () => {
    const other = await api.identity.users.create('other', 'long enough')
    await api.registry.provision(otherId, devicePem(), { id: other.id, administrator: false })
    await api.registry.claim(otherId, other.id)
    for (const request of [
      particle.getDevice({ deviceId: otherId, auth }),
      particle.getVariable({ deviceId: otherId, name: 'temp', auth }),
      particle.callFunction({ deviceId: otherId, name: 'led', argument: '', auth }),
      particle.removeDevice({ deviceId: otherId, auth }),
      particle.renameDevice({ deviceId: otherId, name: 'x', auth }),
      particle.signalDevice({ deviceId: otherId, signal: true, auth }),
      particle.flashDevice({ deviceId: otherId, files: { 'a.bin': Buffer.from('x') }, auth }),
      particle.getEventStream({ deviceId: otherId, auth }),
    ]) {
      const failure = await failureOf(request)
      assert.equal(failure.statusCode, 403)
    }
    const claim = await failureOf(particle.claimDevice({ deviceId: otherId, auth }))
    assert.equal(claim.statusCode, 403)
    assert.match(claim.body.errors?.[0] ?? '', /belongs to someone else/)
    const transfer = await particle.claimDevice({ deviceId: otherId, requestTransfer: true, auth })
    assert.deepEqual(Object.keys(transfer.body), ['ok', 'transfer_id'])
    assert.equal(api.registry.get(otherId)?.ownerId, other.id)
    assert.equal((await failureOf(particle.claimDevice({ deviceId: 'f'.repeat(24), auth }))).statusCode, 404)
  })

  it('gets a claim code', async () => {
    const { body } = await particle.getClaimCode({ auth })
    assert.equal(body.claim_code.length, 63)
    assert.deepEqual(body.device_ids, [id])
  })

  it('is told at once when the device is offline, and never with a 404', async () => {
    const failures = [
      particle.callFunction({ deviceId: 'lamp', name: 'led', argument: 'on', auth }),
      particle.getVariable({ deviceId: 'lamp', name: 'temp', auth }),
      particle.signalDevice({ deviceId: 'lamp', signal: true, auth }),
      particle.flashDevice({ deviceId: 'lamp', files: { 'app.ts': Buffer.from('') }, auth }),
    ]
    for (const failure of await Promise.all(failures.map(failureOf))) assert.equal(failure.statusCode, 408)
    api.gateway.online.add(id)
  })

  it('calls functions', async () => {
    api.registry.recordDescribe(id, {
      functions: ['led'],
      variables: { temp: 'double', on: 'bool', words: 'string', zero: 'int32' },
    })
    api.gateway.answerCall = (_id, _name, argument) => ({ ok: true, value: argument.length })
    const { body } = await particle.callFunction({ deviceId: 'lamp', name: 'led', argument: 'on', auth })
    assert.deepEqual(body, { id, name: 'lamp', connected: true, return_value: 2 })
    const missing = await failureOf(particle.callFunction({ deviceId: 'lamp', name: 'fan', argument: '', auth }))
    assert.equal(missing.statusCode, 404)
    assert.equal(missing.body.error, 'Function fan not found')
    api.gateway.answerCall = () => ({ ok: false, error: 'timeout' })
    const slow = await failureOf(particle.callFunction({ deviceId: 'lamp', name: 'led', argument: '', auth }))
    assert.equal(slow.statusCode, 408)
  })

  it('reads variables of every type', async () => {
    const values = { temp: 21.5, on: false, words: 'grün', zero: 0 }
    api.gateway.variables = new Map(Object.entries(values))
    for (const [name, value] of Object.entries(values)) {
      const { body } = await particle.getVariable({ deviceId: 'lamp', name, auth })
      assert.equal(body.result, value)
      assert.equal(body.coreInfo.deviceID, id)
    }
    const missing = await failureOf(particle.getVariable({ deviceId: 'lamp', name: 'none', auth }))
    assert.equal(missing.statusCode, 404)
  })

  it('signals, and changes several things in one request', async () => {
    const { body } = await particle.signalDevice({ deviceId: 'lamp', signal: true, auth })
    assert.deepEqual(body, { id, connected: true, signaling: true })
    const updated = await particle.updateDevice({ deviceId: 'lamp', name: 'lamp2', signal: false, notes: 'x', auth })
    assert.equal(updated.body.name, 'lamp2')
    assert.equal(updated.body.notes, 'x')
    await particle.renameDevice({ deviceId: 'lamp2', name: 'lamp', auth })
    const nothing = await bodyOf(particle.put({ uri: '/v1/devices/lamp', data: {}, auth }))
    assert.deepEqual(nothing, { id })
  })

  it('compiles, fetches the binary, and flashes it', async () => {
    const files = { 'src/app.ts': Buffer.from('export {}'), 'project.properties': Buffer.from('name=app') }
    const body = await bodyOf(particle.compileCode({ files, platformId: 43, targetVersion: '1.1.0', auth }))
    assert.equal(body.build_target_version, '1.1.0')
    assert.match(body.sizeInfo, /^ *text/)
    assert.deepEqual(
      api.compiler.requests.at(-1)?.files.map(({ path, content }) => [path, Buffer.from(content).toString()]),
      [
        ['src/app.ts', 'export {}'],
        ['project.properties', 'name=app'],
      ],
    )
    const binary = await particle.downloadFirmwareBinary({ binaryId: body.binary_id, auth })
    assert.equal(Buffer.from(binary as ArrayBuffer).toString(), 'module for 1.1.0')

    const flashed = await bodyOf(
      particle.flashDevice({
        deviceId: 'lamp',
        files: { '/tmp/a/app.bin': Buffer.from('bin') },
        auth,
      }),
    )
    assert.equal(flashed.status, 'Update started')
    assert.equal(Buffer.from(api.updates.flashed.at(-1)?.file ?? []).toString(), 'bin')
    const gone = await failureOf(particle.downloadFirmwareBinary({ binaryId: 'f'.repeat(24), auth }))
    assert.equal(gone.statusCode, 404)
  })

  it('flashes source for the Device OS that the device runs, or for the one that it names', async () => {
    const module = { store: 'main', maxSize: 1, checked: 30, passed: 30, dependencies: [] } as const
    api.registry.recordDescribe(id, {
      system: { modules: [{ ...module, function: 'system_part', index: 2, version: 1_101 }] },
    })
    const files = { 'src/app.ts': Buffer.from('export {}') }
    const body = await bodyOf(particle.flashDevice({ deviceId: 'lamp', files, auth }))
    assert.equal(body.message, 'Update started')
    assert.equal(Buffer.from(api.updates.flashed.at(-1)?.file ?? []).toString(), 'module for 1.1.0')
    await particle.flashDevice({ deviceId: 'lamp', files, targetVersion: '2.0.0', auth })
    assert.equal(Buffer.from(api.updates.flashed.at(-1)?.file ?? []).toString(), 'module for 2.0.0')
    assert.equal((await bodyOf(particle.getDevice({ deviceId: id, auth }))).system_firmware_version, '1.1.0')
  })

  it('shows what the compiler says, in the shape that the CLI prints', async () => {
    api.compiler.result = { ok: false, reason: 'errors', errors: ['app.ts:1:1: error: no'], diagnostics: [] }
    const files = { 'app.ts': Buffer.from('no') }
    for (const request of [
      particle.compileCode({ files, platformId: 43, auth }),
      particle.flashDevice({ deviceId: 'lamp', files, auth }),
    ]) {
      const { statusCode, body } = await failureOf(request)
      assert.equal(statusCode, 400)
      assert.equal((body as { output?: string }).output, 'Compiler timed out or encountered an error')
      assert.deepEqual(body.errors, ['app.ts:1:1: error: no'])
    }
    api.compiler.result = undefined
  })

  it('lists build targets and Device OS versions, and fetches their modules without a token', async () => {
    const client = particle.client({ auth })
    const targets = await client.listBuildTargets()
    assert.equal(targets.length, 4)
    assert.deepEqual(
      targets.filter(({ prerelease }) => prerelease).map(({ version }) => version),
      ['1.1.0-rc.1'],
    )
    const body = await bodyOf(particle.listDeviceOsVersions({ platformId: 43, perPage: 2, page: 2, auth }))
    assert.deepEqual(
      body.versions.map(({ version }: { version: string }) => version),
      ['1.1.0-rc.1', '1.0.0'],
    )
    assert.equal(body.meta.total, 4)
    const latest = await particle.getDeviceOsVersion({ version: 'latest', platformId: 43, auth })
    assert.equal(latest.body.version, '2.0.0')
    const { base_url, modules } = await bodyOf(particle.getDeviceOsVersion({ version: '1101', auth: '' }))
    assert.equal(modules.length, 3)
    for (const { filename } of modules) {
      const response = await fetch(`${base_url}/${filename}`)
      assert.equal(response.status, 200)
      assert.ok((await response.arrayBuffer()).byteLength > 24)
    }
    const unknown = await failureOf(particle.getDeviceOsVersion({ version: '9.9.9', auth }))
    assert.equal(unknown.statusCode, 404)
    assert.match(unknown.body.error ?? '', /404/)
  })

  it('publishes, and receives on every stream with its prefix', async () => {
    const opened: Stream[] = []
    const seen: Record<string, StreamEvent[]> = {}
    const open = async (label: string, options: object): Promise<void> => {
      const stream = (await particle.getEventStream({ ...options, auth })) as unknown as Stream
      const events: StreamEvent[] = []
      seen[label] = events
      stream.on('event', (event) => events.push(event))
      opened.push(stream)
    }
    await open('mine', { deviceId: 'mine' })
    await open('mine by prefix', { deviceId: 'mine', name: 'a/b c' })
    await open('by prefix', { name: 'temp' })
    await open('device', { deviceId: 'lamp' })
    await open('device by prefix', { deviceId: id, name: 'temp' })

    const event = { ttl: 60, publishedAt: Date.now(), owner: api.user.id }
    await particle.publishEvent({ name: 'a/b c d', data: 'grün\n"quoted"', isPrivate: true, auth })
    await particle.publishEvent({ name: 'tempo', auth })
    api.bus.publish({ ...event, name: 'temp', data: '21', coreid: id, deviceId: id })
    api.bus.publish({ ...event, name: 'humidity', data: '40', coreid: id, deviceId: id })
    api.bus.publish({ ...event, name: 'temp', data: 'secret', coreid: otherId, deviceId: otherId, owner: 'other' })
    while (opened.length < 5 || (seen.device?.length ?? 0) < 2 || (seen.mine?.length ?? 0) < 4) {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    for (const stream of opened) {
      stream.abort()
      stream.stopIdleTimeout()
    }

    const names = Object.fromEntries(Object.entries(seen).map(([label, events]) => [label, events.map((e) => e.name)]))
    assert.deepEqual(names, {
      mine: ['a/b c d', 'tempo', 'temp', 'humidity'],
      'mine by prefix': ['a/b c d'],
      'by prefix': ['tempo', 'temp'],
      device: ['temp', 'humidity'],
      'device by prefix': ['temp'],
    })
    assert.equal(seen.mine?.[0]?.data, 'grün\n"quoted"')
    assert.equal(seen.mine?.[0]?.coreid, 'api')
    assert.equal(seen.mine?.[1]?.data, null)
    const first = seen.device?.[0]
    assert.equal(first?.published_at, new Date(event.publishedAt).toISOString())
    assert.equal(first?.coreid, id)
    assert.equal(first?.ttl, 60)
    const reserved = await failureOf(particle.publishEvent({ name: 'spark/x', data: '', auth }))
    assert.equal(reserved.statusCode, 400)
  })

  it('looks through what is not there without stopping, and is told the truth when it asks for it', async () => {
    assert.deepEqual((await particle.listProducts({ auth })).body.products, [])
    assert.deepEqual((await particle.listIntegrations({ auth })).body, [])
    assert.deepEqual((await particle.listWebhooks({ auth })).body, [])
    const failure = await failureOf(particle.getLibraryVersions({ name: 'e', auth }))
    assert.equal(failure.statusCode, 501)
    assert.match(failure.body.error ?? '', /^Not implemented: Aloe has no .* yet$/)
  })

  it('revokes tokens', async () => {
    const { body } = await particle.login({ username, password })
    await particle.deleteAccessToken({ token: body.access_token })
    assert.equal((await failureOf(particle.getUserInfo({ auth: body.access_token }))).statusCode, 401)
    const current = (await particle.login({ username, password })).body.access_token
    await particle.deleteCurrentAccessToken({ auth: current })
    assert.equal((await failureOf(particle.getUserInfo({ auth: current }))).statusCode, 401)
  })

  it('removes the device, and all tokens', async () => {
    await particle.removeDevice({ deviceId: 'lamp', auth })
    assert.equal((await failureOf(particle.getDevice({ deviceId: id, auth }))).statusCode, 403)
    await particle.deleteActiveAccessTokens({ auth })
    assert.equal((await failureOf(particle.getUserInfo({ auth }))).statusCode, 401)
  })
})
