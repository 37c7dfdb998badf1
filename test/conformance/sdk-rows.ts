/** Every method of particle-api-js, and what comes of it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type Particle from 'particle-api-js'
import type { Row } from './row.ts'
import { eventually, newerApplication, type World } from './world.ts'

export interface SdkStage {
  readonly world: World
  /** Logged in as the owner; its types are behind its methods in places. */
  // biome-ignore lint/suspicious/noExplicitAny: what comes is what the tests assert
  readonly particle: any
  /** Without a token. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly guest: any
  /** A product of the owner's for platform `linux`, in which the device alpha is. */
  readonly product: number
  client(auth?: string): Particle
}

type SdkRow = Row<SdkStage>

interface Failure {
  readonly statusCode: number
  readonly body: { readonly error?: string }
}

const works = (name: string, note: string, run: (stage: SdkStage) => Promise<void>): SdkRow => ({
  name,
  outcome: 'works',
  note,
  run,
})

/** @throws AssertionError when it is not refused with this status */
async function refused(promise: Promise<unknown>, status: number): Promise<Failure> {
  const failure = await promise.then(
    () => assert.fail('it was not refused'),
    (error: Failure) => error,
  )
  assert.equal(failure.statusCode, status, JSON.stringify(failure.body))
  return failure
}

/** Answered 501, with words that say what is missing. */
function missing(name: string, what: string, options: object): SdkRow {
  return {
    name,
    outcome: 'refuses',
    note: `501: Aloe has no ${what} yet`,
    async run({ particle, world, product }) {
      const filled = JSON.parse(
        JSON.stringify(options)
          .replaceAll('"ALPHA"', JSON.stringify(world.alpha.id))
          .replaceAll('"PRODUCT"', String(product)),
      )
      const { body } = await refused(particle[name](filled), 501)
      assert.match(body.error ?? '', /^Not implemented: Aloe has no .+ yet$/)
    },
  }
}

/** Waits no longer than a test may. */
async function soon<T>(promise: Promise<T>, what: string): Promise<T> {
  const late = delay(15_000, undefined, { ref: false }).then(() => assert.fail(`it did not come: ${what}`))
  return await Promise.race([promise, late])
}

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

const nobody = { username: 'sdk@aloe.test', password: 'long enough for now' }

const identity: SdkRow[] = [
  works('login', 'token, type, lifetime; wrong credentials are a 400', async ({ guest, world }) => {
    const { body } = await guest.login({ ...world.owner, tokenDuration: 60 })
    assert.match(body.access_token, /^[0-9a-f]{40}$/)
    assert.equal(body.expires_in, 60)
    const { body: wrong } = await refused(guest.login({ username: world.owner.username, password: 'wrong' }), 400)
    assert.equal(wrong.error, 'invalid_grant')
  }),
  works('createUser', 'the user can log in', async ({ guest, world, particle }) => {
    await guest.createUser({ ...nobody, accountInfo: { first_name: 'Sue' } })
    const { access_token } = (await guest.login(nobody)).body
    assert.equal((await guest.getUserInfo({ auth: access_token })).body.account_info.first_name, 'Sue')
    assert.equal((await particle.getUserInfo({})).body.username, world.owner.username)
  }),
  works('getUserInfo', 'name, account, second factor', async ({ particle, world }) => {
    const { body } = await particle.getUserInfo({})
    assert.equal(body.username, world.owner.username)
    assert.equal(body.mfa.enabled, false)
  }),
  works('setUserInfo', 'read back', async ({ particle }) => {
    await particle.setUserInfo({ accountInfo: { first_name: 'Ada' } })
    assert.equal((await particle.getUserInfo({})).body.account_info.first_name, 'Ada')
  }),
  works('trackingIdentity', 'id and e-mail', async ({ particle, world }) => {
    assert.equal((await particle.trackingIdentity({ full: true })).body.email, world.owner.username)
  }),
  works('changeUsername', 'the new name logs in', async ({ guest, client }) => {
    const { access_token } = (await guest.login(nobody)).body
    const renamed = { ...nobody, username: 'renamed@aloe.test' }
    await client(access_token).changeUsername({ username: renamed.username, currentPassword: nobody.password })
    await guest.login(renamed)
    await refused(guest.login(nobody), 400)
    await client(access_token).changeUsername({ username: nobody.username, currentPassword: nobody.password })
  }),
  works(
    'changeUserPassword',
    'only the new password logs in; a wrong present one is refused without logging out',
    async ({ guest }) => {
      const { access_token: auth } = (await guest.login(nobody)).body
      await refused(guest.changeUserPassword({ auth, currentPassword: 'wrong', password: 'another password' }), 403)
      await guest.changeUserPassword({ auth, currentPassword: nobody.password, password: 'another password' })
      await refused(guest.login(nobody), 400)
      await guest.changeUserPassword({ auth, currentPassword: 'another password', password: nobody.password })
      await guest.login(nobody)
    },
  ),
  works('resetPassword', 'answers the same for known and unknown names; the link is in the log', async ({ guest }) => {
    assert.equal((await guest.resetPassword({ username: nobody.username })).body.ok, true)
    assert.equal((await guest.resetPassword({ username: 'nobody@aloe.test' })).body.ok, true)
  }),
  works('enableMfa', 'a secret and its QR text; not on before it is confirmed', async ({ guest }) => {
    const { access_token: auth } = (await guest.login(nobody)).body
    const { body } = await guest.enableMfa({ auth })
    assert.ok(body.mfa_token)
    assert.ok(body.secret)
    assert.equal((await guest.getUserInfo({ auth })).body.mfa.enabled, false)
  }),
  works('confirmMfa', 'on with the right code, not with a wrong one', async ({ guest }) => {
    const { access_token: auth } = (await guest.login(nobody)).body
    const { body } = await guest.enableMfa({ auth })
    await assert.rejects(guest.confirmMfa({ auth, mfaToken: body.mfa_token, otp: '000000' }))
    const again = (await guest.enableMfa({ auth })).body
    secret = again.secret
    await guest.confirmMfa({ auth, mfaToken: again.mfa_token, otp: await code(secret, -1) })
    assert.equal((await guest.getUserInfo({ auth })).body.mfa.enabled, true)
    second = auth
  }),
  works('sendOtp', 'the second step of a login', async ({ guest }) => {
    const { body } = (await refused(guest.login(nobody), 403)) as unknown as {
      body: { error: string; mfa_token: string }
    }
    assert.equal(body.error, 'mfa_required')
    const { access_token } = (await guest.sendOtp({ mfaToken: body.mfa_token, otp: await code(secret, 0) })).body
    assert.equal((await guest.getUserInfo({ auth: access_token })).body.username, nobody.username)
  }),
  works('disableMfa', 'one step logs in again', async ({ guest }) => {
    await guest.disableMfa({ auth: second, currentPassword: nobody.password })
    await guest.login(nobody)
  }),
  works('deleteAccessToken', 'without credentials; it opens nothing from then on', async ({ guest }) => {
    const { access_token: auth } = (await guest.login(nobody)).body
    await guest.deleteAccessToken({ token: auth })
    await refused(guest.getUserInfo({ auth }), 401)
  }),
  works('deleteCurrentAccessToken', 'it opens nothing from then on', async ({ guest }) => {
    const { access_token: auth } = (await guest.login(nobody)).body
    await guest.deleteCurrentAccessToken({ auth })
    await refused(guest.getUserInfo({ auth }), 401)
  }),
  works('deleteActiveAccessTokens', 'none of them opens anything', async ({ guest }) => {
    const first = (await guest.login(nobody)).body.access_token
    const auth = (await guest.login(nobody)).body.access_token
    await guest.deleteActiveAccessTokens({ auth })
    await refused(guest.getUserInfo({ auth: first }), 401)
    await refused(guest.getUserInfo({ auth }), 401)
  }),
  works('listOAuthClients', 'of the user, and of the product', async ({ particle, product }) => {
    assert.ok(Array.isArray((await particle.listOAuthClients({})).body.clients))
    assert.ok(Array.isArray((await particle.listOAuthClients({ product })).body.clients))
  }),
  works('createOAuthClient', 'the secret is shown once; the list has the client', async ({ particle, product }) => {
    const { body } = await particle.createOAuthClient({ product, name: 'sdk', type: 'installed', scope: '*:*' })
    assert.ok(body.client.secret)
    oauth = { id: body.client.id, secret: body.client.secret }
    const { clients } = (await particle.listOAuthClients({ product })).body
    const listed = clients.find(({ id }: { id: string }) => id === oauth.id)
    assert.equal(listed.name, 'sdk')
    assert.equal(listed.secret, undefined)
  }),
  works('updateOAuthClient', 'read back', async ({ particle, product }) => {
    await particle.updateOAuthClient({ product, clientId: oauth.id, name: 'renamed' })
    const { clients } = (await particle.listOAuthClients({ product })).body
    assert.equal(clients.find(({ id }: { id: string }) => id === oauth.id).name, 'renamed')
  }),
  works('loginAsClientOwner', 'a token for the product, and for nothing else', async ({ world, product }) => {
    const client = await productClient(world)
    const { access_token: auth } = (await client.loginAsClientOwner()).body
    const { body } = await client.listDevices({ auth, product })
    assert.equal(body.devices[0].id, world.alpha.id)
    await assert.rejects(client.listProductFirmware({ auth, product: product + 1 }))
    await assert.rejects(client.changeUserPassword({ auth, currentPassword: 'a', password: 'b' }))
  }),
  works(
    'createCustomer',
    'with the product’s client; the customer’s token sees no device that is not theirs',
    async ({ world, product }) => {
      const client = await productClient(world)
      const { body } = await client.createCustomer({ product, email: 'customer@aloe.test', password: 'long enough' })
      assert.ok(body.access_token)
      const seen = (await client.listDevices({ auth: body.access_token })).body
      assert.deepEqual(Array.isArray(seen) ? seen : seen.devices, [])
    },
  ),
  works('deleteOAuthClient', 'it is gone, and its secret gives no token', async ({ particle, product, world }) => {
    const client = await productClient(world)
    await particle.deleteOAuthClient({ product, clientId: oauth.id })
    await assert.rejects(client.loginAsClientOwner())
  }),
  works('listTeamMembers', 'the owner among them', async ({ particle, product, world }) => {
    const { team } = (await particle.listTeamMembers({ product })).body
    assert.ok(team.some(({ username }: { username: string }) => username === world.owner.username))
  }),
  works('inviteTeamMember', 'the member sees the product', async ({ particle, guest, product }) => {
    await particle.inviteTeamMember({ product, username: nobody.username })
    const { access_token: auth } = (await guest.login(nobody)).body
    const { products } = (await guest.listProducts({ auth })).body
    assert.ok(products.some(({ id }: { id: number }) => id === product))
  }),
  works('removeTeamMember', 'and no longer', async ({ particle, guest, product }) => {
    await particle.removeTeamMember({ product, username: nobody.username })
    const { access_token: auth } = (await guest.login(nobody)).body
    await refused(guest.getProduct({ auth, product }), 403)
  }),
  works('deleteUser', 'it cannot log in any more', async ({ guest }) => {
    const { access_token: auth } = (await guest.login(nobody)).body
    await guest.deleteUser({ auth, password: nobody.password })
    await refused(guest.login(nobody), 400)
  }),
]

let secret = ''
let second = ''
let oauth = { id: '', secret: '' }

/** A one-time code, `steps` of half a minute from now (RFC 6238). */
async function code(base32: string, steps: number): Promise<string> {
  const { Secret, TOTP } = await import('otpauth')
  return new TOTP({ secret: Secret.fromBase32(base32) }).generate({ timestamp: Date.now() + steps * 30_000 })
}

async function productClient(world: World) {
  const { default: Particle } = await import('particle-api-js')
  // biome-ignore lint/suspicious/noExplicitAny: as above
  return new Particle({ baseUrl: world.url, clientId: oauth.id, clientSecret: oauth.secret }) as any
}

const devices: SdkRow[] = [
  works('listDevices', 'own ones; a product’s with filters, sorted, in pages', async ({ particle, product, world }) => {
    const { body } = await particle.listDevices({})
    assert.deepEqual(body.map(({ name }: { name: string }) => name).sort(), ['alpha', 'beta'])
    const page = (
      await particle.listDevices({ product, deviceName: 'ALP', sortAttr: 'deviceName', page: 1, perPage: 5 })
    ).body
    assert.deepEqual(
      page.devices.map(({ id }: { id: string }) => id),
      [world.alpha.id],
    )
    assert.equal(page.meta.total_pages, 1)
    assert.deepEqual((await particle.listDevices({ product, deviceName: 'nothing' })).body.devices, [])
  }),
  works('getDevice', 'by name and by id, own and in a product', async ({ particle, product, world }) => {
    const { body } = await particle.getDevice({ deviceId: 'alpha' })
    assert.equal(body.id, world.alpha.id)
    assert.equal(body.online, true)
    assert.deepEqual(body.functions, ['led'])
    assert.equal(body.variables.temp, 'double')
    assert.equal((await particle.getDevice({ deviceId: world.alpha.id, product })).body.product_id, product)
  }),
  works('sendPublicKey', 'the device comes in with this key', async ({ particle, world }) => {
    const device = world.newDevice()
    await world.adopt(device, 'sdk-key')
    device.start()
    await eventually('it is online', async () => (await particle.getDevice({ deviceId: 'sdk-key' })).body.connected)
    await device.stop()
    spare = device.id
  }),
  works('claimDevice', 'an unclaimed one becomes the caller’s', async ({ particle }) => {
    await particle.removeDevice({ deviceId: spare })
    assert.equal((await particle.claimDevice({ deviceId: spare })).body.ok, true)
    assert.equal((await particle.getDevice({ deviceId: spare })).body.id, spare)
    await refused(particle.claimDevice({ deviceId: 'f'.repeat(24) }), 404)
  }),
  works('removeDevice', 'it is nobody’s then; from a product, and denied', async ({ particle, product }) => {
    await particle.removeDevice({ deviceId: spare })
    await refused(particle.getDevice({ deviceId: spare }), 403)
    await particle.addDeviceToProduct({ product, deviceId: spare })
    await particle.removeDevice({ deviceId: spare, product, deny: true })
    const listed = (await particle.listDevices({ product })).body.devices
    assert.ok(!listed.some(({ id, denied }: { id: string; denied?: boolean }) => id === spare && denied !== true))
  }),
  works('addDeviceToProduct', 'by id and by file; what is no id is told', async ({ particle, product, world }) => {
    const { body } = await particle.addDeviceToProduct({ product, file: Buffer.from(`${world.beta.id}\nnonsense`) })
    assert.deepEqual(body.updatedDeviceIds, [world.beta.id])
    assert.deepEqual(body.invalidDeviceIds, ['nonsense'])
    assert.equal((await particle.getDevice({ deviceId: world.beta.id, product })).body.product_id, product)
    await particle.removeDevice({ deviceId: world.beta.id, product })
  }),
  works('removeDeviceOwner', 'it stays in the product, and is nobody’s', async ({ particle, product }) => {
    await particle.addDeviceToProduct({ product, deviceId: spare })
    await particle.claimDevice({ deviceId: spare })
    await particle.removeDeviceOwner({ product, deviceId: spare })
    await refused(particle.getDevice({ deviceId: spare }), 403)
    assert.equal((await particle.getDevice({ product, deviceId: spare })).body.id, spare)
    await particle.removeDevice({ product, deviceId: spare })
  }),
  works('renameDevice', 'read back, own and in a product', async ({ particle, product, world }) => {
    await particle.renameDevice({ deviceId: 'beta', name: 'gamma' })
    assert.equal((await particle.getDevice({ deviceId: 'gamma' })).body.id, world.beta.id)
    await particle.renameDevice({ deviceId: 'gamma', name: 'beta' })
    await particle.renameDevice({ product, deviceId: world.alpha.id, name: 'alphabet' })
    assert.equal((await particle.getDevice({ product, deviceId: world.alpha.id })).body.name, 'alphabet')
    await particle.renameDevice({ product, deviceId: world.alpha.id, name: 'alpha' })
  }),
  works('setDeviceNotes', 'read back', async ({ particle, product, world }) => {
    await particle.setDeviceNotes({ deviceId: 'alpha', notes: 'on the desk' })
    assert.equal((await particle.getDevice({ deviceId: 'alpha' })).body.notes, 'on the desk')
    await particle.setDeviceNotes({ product, deviceId: world.alpha.id, notes: 'moved' })
    assert.equal((await particle.getDevice({ deviceId: 'alpha' })).body.notes, 'moved')
  }),
  works('signalDevice', 'the LED shouts rainbows, and stops', async ({ particle, world }) => {
    await particle.signalDevice({ deviceId: 'alpha', signal: true })
    await eventually('the LED signals', async () => world.alpha.status.led?.words.includes('rainbow'))
    await particle.signalDevice({ deviceId: 'alpha', signal: false })
    await eventually('the LED rests', async () => !world.alpha.status.led?.words.includes('rainbow'))
  }),
  works('markAsDevelopmentDevice', 'read back', async ({ particle, product, world }) => {
    await particle.markAsDevelopmentDevice({ product, deviceId: world.alpha.id })
    assert.equal((await particle.getDevice({ product, deviceId: world.alpha.id })).body.development, true)
    await particle.markAsDevelopmentDevice({ product, deviceId: world.alpha.id, development: false })
    assert.equal((await particle.getDevice({ product, deviceId: world.alpha.id })).body.development, false)
    await particle.markAsDevelopmentDevice({ product, deviceId: world.alpha.id })
  }),
  works('updateDevice', 'several fields at a time, read back', async ({ particle, product, world }) => {
    await particle.updateDevice({ product, deviceId: world.alpha.id, notes: 'both', development: true })
    const { body } = await particle.getDevice({ product, deviceId: world.alpha.id })
    assert.deepEqual([body.notes, body.development], ['both', true])
  }),
  works('getClaimCode', '63 characters, and what is claimed already', async ({ particle, product, world }) => {
    const { body } = await particle.getClaimCode({})
    assert.equal(body.claim_code.length, 63)
    assert.ok(body.device_ids.includes(world.alpha.id))
    assert.equal((await particle.getClaimCode({ product })).body.claim_code.length, 63)
  }),
  works('lookupSerialNumber', 'an unknown one is a 404', async ({ particle }) => {
    await refused(particle.lookupSerialNumber({ serialNumber: 'P000000000000' }), 404)
  }),
  works(
    'callFunction',
    'the value comes back, the effect is there; unknown 404, offline 408',
    async ({ particle, product, world }) => {
      assert.equal(
        (await particle.callFunction({ deviceId: 'alpha', name: 'led', argument: 'on' })).body.return_value,
        1,
      )
      assert.equal((await particle.getVariable({ deviceId: 'alpha', name: 'led' })).body.result, 'on')
      const inProduct = { product, deviceId: world.alpha.id, name: 'led', argument: 'off' }
      assert.equal((await particle.callFunction(inProduct)).body.return_value, 0)
      await refused(particle.callFunction({ deviceId: 'alpha', name: 'nope', argument: '' }), 404)
      await particle.claimDevice({ deviceId: spare })
      await refused(particle.callFunction({ deviceId: spare, name: 'led', argument: '' }), 408)
      await particle.removeDevice({ deviceId: spare })
    },
  ),
  works('getVariable', 'each type; unknown 404', async ({ particle, product, world }) => {
    for (const [name, value] of [
      ['count', 42],
      ['temp', 21.5],
      ['on', false],
      ['led', 'off'],
    ] as const) {
      assert.equal((await particle.getVariable({ deviceId: 'alpha', name })).body.result, value)
    }
    assert.equal((await particle.getVariable({ product, deviceId: world.alpha.id, name: 'temp' })).body.result, 21.5)
    await refused(particle.getVariable({ deviceId: 'alpha', name: 'nope' }), 404)
  }),
]

let spare = ''

const events: SdkRow[] = [
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

const firmware: SdkRow[] = [
  works('compileCode', 'a module that can be downloaded; errors in words', async ({ particle }) => {
    const files = { 'src/index.ts': Buffer.from(newerApplication) }
    const { body } = await particle.compileCode({ files, platformId: 43, targetVersion: '1.1.0' })
    assert.match(body.sizeInfo, /text\s+data\s+bss/)
    binary = body.binary_id
    const wrong = { 'src/index.ts': Buffer.from('const x: number = "text"') }
    const failed: unknown = await particle
      .compileCode({ files: wrong, platformId: 43 })
      .catch((error: unknown) => error)
    assert.match(JSON.stringify(failed), /not assignable/)
  }),
  works('downloadFirmwareBinary', 'the module’s bytes', async ({ particle }) => {
    newer = await particle.downloadFirmwareBinary({ binaryId: binary })
    assert.ok(Buffer.isBuffer(newer) && newer.length > 100)
  }),
  works('flashDevice', 'the new function answers; in a product too', async ({ particle, product, world }) => {
    const { body } = await particle.flashDevice({ deviceId: 'beta', files: { 'newer.bin': newer } })
    assert.ok(body.status ?? body.message)
    await eventually('the new function is there', async () => {
      return (await particle.callFunction({ deviceId: 'beta', name: 'newer', argument: '' })).body.return_value === 7
    })
    const inProduct = {
      product,
      deviceId: world.alpha.id,
      files: { 'index.ts': Buffer.from(newerApplication) },
      targetVersion: '1.1.0',
    }
    assert.ok((await particle.flashDevice(inProduct)).body.message)
    await eventually('the new function is there', async () => {
      return (await particle.callFunction({ deviceId: 'alpha', name: 'newer', argument: '' })).body.return_value === 7
    })
  }),
  works('listBuildTargets', 'a release and its platforms', async ({ particle }) => {
    const { body } = await particle.listBuildTargets({})
    assert.ok(
      body.targets.some(
        ({ version, platforms }: { version: string; platforms: number[] }) =>
          version === '2.0.0' && platforms.includes(43),
      ),
    )
  }),
  works('listDeviceOsVersions', 'newest first, in pages', async ({ particle }) => {
    const { body } = await particle.listDeviceOsVersions({ platformId: 43, perPage: 100 })
    assert.equal(body.versions[0].version, '2.0.0')
    assert.equal(body.meta.total, 4)
  }),
  works('getDeviceOsVersion', 'by version, by number, and its files can be fetched', async ({ particle }) => {
    const { body } = await particle.getDeviceOsVersion({ version: '2.0.0', platformId: 43 })
    assert.equal(
      (await particle.getDeviceOsVersion({ version: body.internal_version, platformId: 43 })).body.version,
      '2.0.0',
    )
    downloads = `${body.base_url}/${body.modules[0].filename}`
    await refused(particle.getDeviceOsVersion({ version: '9.9.9', platformId: 43 }), 404)
  }),
  works('downloadFile', 'without credentials', async ({ guest }) => {
    const bytes = await guest.downloadFile({ uri: downloads })
    assert.ok(Buffer.isBuffer(bytes) && bytes.length > 100)
  }),
  works('listProducts', 'the owner’s', async ({ particle, product }) => {
    assert.ok((await particle.listProducts({})).body.products.some(({ id }: { id: number }) => id === product))
  }),
  works('getProduct', 'by id and by slug; an unknown one is a 404', async ({ particle, product }) => {
    const { body } = await particle.getProduct({ product })
    assert.equal(body.product.platform_id, 43)
    assert.equal((await particle.getProduct({ product: body.product.slug })).body.product.id, product)
    await refused(particle.getProduct({ product: 999_999 }), 404)
  }),
  works('uploadProductFirmware', 'listed from then on; not twice under one number', async ({ particle, product }) => {
    const upload = { product, file: newer, version: 1, title: 'one', description: 'first' }
    assert.equal((await particle.uploadProductFirmware(upload)).body.version, 1)
    await assert.rejects(particle.uploadProductFirmware(upload))
    await assert.rejects(particle.uploadProductFirmware({ ...upload, version: 2, file: Buffer.from('nonsense') }))
  }),
  works('listProductFirmware', 'a bare list', async ({ particle, product }) => {
    const { body } = await particle.listProductFirmware({ product })
    assert.deepEqual(
      body.map(({ version, title }: { version: number; title: string }) => [version, title]),
      [[1, 'one']],
    )
  }),
  works('getProductFirmware', 'size, title, who uploaded it', async ({ particle, product, world }) => {
    const { body } = await particle.getProductFirmware({ product, version: 1 })
    assert.equal(body.size, newer.length)
    assert.equal(body.uploaded_by.username, world.owner.username)
  }),
  works('updateProductFirmware', 'read back', async ({ particle, product }) => {
    await particle.updateProductFirmware({ product, version: 1, title: 'uno', description: 'first' })
    assert.equal((await particle.getProductFirmware({ product, version: 1 })).body.title, 'uno')
  }),
  works('downloadProductFirmware', 'the bytes that were uploaded', async ({ particle, product }) => {
    assert.ok((await particle.downloadProductFirmware({ product, version: 1 })).equals(newer))
  }),
  works('lockDeviceProductFirmware', 'read back', async ({ particle, product, world }) => {
    await particle.lockDeviceProductFirmware({ product, deviceId: world.alpha.id, desiredFirmwareVersion: 1 })
    assert.equal((await particle.getDevice({ product, deviceId: world.alpha.id })).body.desired_firmware_version, 1)
  }),
  works('unlockDeviceProductFirmware', 'read back', async ({ particle, product, world }) => {
    await particle.unlockDeviceProductFirmware({ product, deviceId: world.alpha.id })
    assert.equal((await particle.getDevice({ product, deviceId: world.alpha.id })).body.desired_firmware_version, null)
  }),
  works(
    'releaseProductFirmware',
    'not before it ran on a device of the product; then it is the default',
    async ({ particle, product }) => {
      const release = { product, version: 1, product_default: true, groups: [], intelligent: false }
      const released = await particle.releaseProductFirmware(release).then(
        () => true,
        ({ statusCode }: Failure) => {
          assert.equal(statusCode, 400)
          return false
        },
      )
      const { body } = await particle.getProductFirmware({ product, version: 1 })
      assert.equal(body.product_default, released)
    },
  ),
]

let binary = ''
let newer = Buffer.alloc(0)
let downloads = ''

const without: SdkRow[] = [
  missing('unprotectDevice', 'device protection', { deviceId: 'ALPHA', action: 'prepare' }),
  missing('provisionDevice', 'devices made by the cloud', { productId: 'PRODUCT' }),
  ...['listSIMs', 'getSIMDataUsage', 'removeSIM'].map((name) => missing(name, 'SIM management', { iccid: '89' })),
  {
    name: 'checkSIM',
    outcome: 'refuses',
    note: '501, which has no words where no body may be (HEAD)',
    run: async ({ particle }) => void (await refused(particle.checkSIM({ iccid: '89' }), 501)),
  },
  missing('getFleetDataUsage', 'SIM management', { product: 'PRODUCT' }),
  works('listLibraries', 'there is no library service yet: the list is empty', async ({ particle }) => {
    assert.deepEqual((await particle.listLibraries({})).body.data, [])
  }),
  ...['getLibrary', 'getLibraryVersions', 'publishLibrary', 'deleteLibrary'].map((name) =>
    missing(name, 'libraries', { name: 'foo' }),
  ),
  {
    name: 'contributeLibrary',
    outcome: 'refuses',
    note: '501: Aloe has no libraries yet',
    async run({ particle }) {
      const { body } = await refused(particle.contributeLibrary({ archive: Buffer.from('x') }), 501)
      assert.match(body.error ?? '', /Aloe has no librar/)
    },
  },
  missing('downloadManufacturingBackup', 'manufacturing backups', { deviceId: 'ALPHA' }),
  ...['getProductConfiguration', 'getProductConfigurationSchema', 'setProductConfiguration', 'getProductLocations'].map(
    (name) => missing(name, 'configuration and locations', { product: 'PRODUCT', config: {} }),
  ),
  ...[
    'getProductDeviceConfiguration',
    'getProductDeviceConfigurationSchema',
    'setProductDeviceConfiguration',
    'getProductDeviceLocations',
  ].map((name) => missing(name, 'configuration and locations', { product: 'PRODUCT', deviceId: 'ALPHA', config: {} })),
  works('listLogicFunctions', 'there are none: the list is empty', async ({ particle }) => {
    assert.deepEqual((await particle.listLogicFunctions({})).body.logic_functions, [])
  }),
  ...[
    'executeLogic',
    'createLogicFunction',
    'getLogicFunction',
    'updateLogicFunction',
    'deleteLogicFunction',
    'listLogicRuns',
    'getLogicRun',
    'getLogicRunLogs',
  ].map((name) =>
    missing(name, 'logic functions', { logicFunctionId: 'x', logicRunId: 'y', logic: {}, logicFunction: {} }),
  ),
  works('listLedgers', 'there are none: the list is empty', async ({ particle }) => {
    assert.deepEqual((await particle.listLedgers({})).body.ledger_definitions, [])
  }),
  ...[
    'createLedger',
    'getLedger',
    'updateLedger',
    'archiveLedger',
    'getLedgerInstance',
    'setLedgerInstance',
    'deleteLedgerInstance',
    'listLedgerInstances',
    'listLedgerInstanceVersions',
    'getLedgerInstanceVersion',
  ].map((name) => missing(name, 'ledgers', { ledgerName: 'l', ledger: {}, scopeValue: 's', instance: {}, version: 1 })),
  ...[
    'listEnvVars',
    'updateEnvVars',
    'setEnvVar',
    'deleteEnvVar',
    'renderEnvVars',
    'reviewEnvVarsRollout',
    'startEnvVarsRollout',
  ].map((name) =>
    missing(name, 'environment variables', { sandbox: true, ops: [], key: 'K', value: 'V', when: 'Connect' }),
  ),
]

export const sdkRows: readonly SdkRow[] = [...devices, ...events, ...firmware, ...identity, ...without]

/** Of the SDK's prototype, what is no request of its own. */
export const sdkInner: readonly string[] = [
  'constructor',
  'setContext',
  'setDefaultAuth',
  'setBaseUrl',
  'deviceUri',
  'client',
  ...['get', 'head', 'post', 'put', 'patch', 'delete', 'request'],
]
