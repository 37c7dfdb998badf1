/** Products through the official SDK, unchanged, on a real socket (cloud-api.md 1.3, 1.7, appendix A). */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { buildBundle, parseModule } from '@aloe/firmware'
import Particle from 'particle-api-js'
import type { CloudEvent } from '../events/event.ts'
import type { User } from '../identity/users.ts'
import { productApplication } from '../products/firmware-fixture.ts'
import { type ApiFixture, devicePem, startApi } from './api-fixture.ts'

const [first, second, third] = ['a', 'b', 'c'].map((digit) => `422b0000000000000000000${digit}`) as [
  string,
  string,
  string,
]

interface Failure {
  readonly statusCode: number
  readonly body: { readonly error?: string }
}

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

describe('products, through particle-api-js', () => {
  let api: ApiFixture
  let particle: Particle
  let product: string
  let productId: number
  let stranger: User
  let strangerToken: string
  const events: CloudEvent[] = []

  before(async () => {
    api = await startApi()
    particle = new Particle({ baseUrl: api.url, auth: api.token })
    api.bus.subscribe((event) => events.push(event))
    stranger = await api.identity.users.create('stranger@example.com', 'long enough')
    strangerToken = (await api.identity.tokens.issue(stranger.id, 'particle', null)).token
  })
  after(() => api.close())

  const post = (path: string, body: object, method = 'POST') =>
    api.request(method, path, { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } })
  const upload = (version: number, file: Uint8Array) =>
    bodyOf(
      particle.uploadProductFirmware({
        product,
        file: Buffer.from(file),
        version,
        title: `t${version}`,
        description: 'd',
      }),
    )
  /** Says that the device runs this version, as a product's firmware does. */
  const runs = (id: string, version: number): void => {
    api.registry.recordConnection(id, { platformId: 43, productId, productVersion: version })
    api.gateway.connect(id)
  }

  it('creates one as the CLI does, and finds it by id and by slug in every list', async () => {
    const created = await post('/v1/user/products', {
      product: { name: 'Garden Lamp', platform_id: 43, settings: { location: { opt_in: true } } },
    })
    assert.equal(created.status, 200)
    const { id, slug } = created.body.product
    assert.ok(id >= 10_000)
    assert.equal(slug, 'garden-lamp')
    productId = id
    product = slug
    assert.deepEqual((await bodyOf(particle.listProducts({}))).products, [created.body.product])
    for (const path of ['/v1/user/products', '/v1/orgs/user@example.com/products']) {
      assert.deepEqual((await api.request('GET', path)).body.products, [created.body.product], path)
    }
    for (const name of [slug, String(id), slug.toUpperCase()]) {
      const found = (await bodyOf(particle.getProduct({ product: name }))).product
      const { platform_id, settings, device_protection, groups } = found
      assert.deepEqual([platform_id, device_protection, groups], [43, 'disabled', []])
      assert.equal(settings.location.opt_in, true)
      assert.equal(settings.quarantine, true)
      assert.equal(settings.known_application.opt_in, true)
    }
    assert.equal((await post('/v1/products', { name: 'garden lamp', platform_id: 43 })).status, 400)
    assert.equal((await post('/v1/products', { name: 'Other', platform_id: 4_711 })).status, 400)
    assert.equal((await post('/v1/orgs/somebody/products', { product: { name: 'x', platform_id: 43 } })).status, 404)
  })

  it('changes its name, slug and settings, and keeps the rest', async () => {
    const changed = await post(`/v1/products/${product}`, { product: { name: 'Lamp', slug: 'lamp' } }, 'PUT')
    assert.equal(changed.body.product.slug, 'lamp')
    assert.equal(changed.body.product.settings.location.opt_in, true)
    assert.equal((await failureOf(particle.getProduct({ product: 'garden-lamp' }))).statusCode, 404)
    product = 'lamp'
    const settings = await post('/v1/products/lamp', { settings: { location: { opt_in: false } } }, 'PUT')
    assert.deepEqual([settings.body.product.name, settings.body.product.settings.location.opt_in], ['Lamp', false])
    assert.equal((await post('/v1/products/lamp', { platform_id: 12 }, 'PUT')).status, 400)
    assert.equal((await post('/v1/products/lamp', { slug: '12' }, 'PUT')).status, 400)
  })

  it('imports devices by a list, and says of each what became of it', async () => {
    await api.device(first, 'lamp one')
    await api.registry.provision(second, devicePem(), { id: stranger.id, administrator: false }, 43)
    await api.registry.claim(second, stranger.id)
    const list = Buffer.from(`${first.toUpperCase()}\r\n${second}\nnonsense\n\n${third}, SN-0003\n`)
    const body = await bodyOf(particle.addDeviceToProduct({ product, file: list }))
    assert.deepEqual(body, {
      ok: true,
      updated: 2,
      updatedDeviceIds: [first, third],
      existingDeviceIds: [],
      nonmemberDeviceIds: [second],
      invalidDeviceIds: ['nonsense'],
      protectedDeviceIds: [],
    })
    assert.deepEqual(api.gateway.log.slice(-2), [
      ['owner', first],
      ['owner', third],
    ])
    const again = await bodyOf(particle.addDeviceToProduct({ product, deviceId: first } as never))
    assert.deepEqual([again.updated, again.existingDeviceIds], [0, [first]])
    const bySerial = await post(`/v1/products/${product}/devices`, { ids: ['sn-0003'] })
    assert.deepEqual(bySerial.body.existingDeviceIds, [third])
    assert.equal((await post(`/v1/products/${product}/devices`, {})).status, 400)
    // Never seen, and known now: without a key.
    assert.equal(api.registry.get(third)?.publicKey, null)
  })

  it('takes no device of another platform, nor of another product', async () => {
    const photon = '422b000000000000000000ff'
    await api.registry.provision(photon, devicePem(), { id: api.user.id, administrator: false }, 6)
    const other = await api.products.create(api.user.id, { name: 'Second', platformId: 43 })
    const { body } = await post(`/v1/products/${other.id}/devices`, { ids: [photon, first] })
    assert.deepEqual([body.invalidDeviceIds, body.nonmemberDeviceIds, body.updated], [[photon], [first], 0])
    await api.products.remove(other.id)
  })

  it('gives imported devices to a user of the team or a customer, and to nobody else', async () => {
    const claimed = await post(`/v1/products/${product}/devices`, { id: third, claim_user: 'USER@example.com' })
    assert.equal(claimed.status, 200)
    assert.equal(api.registry.get(third)?.ownerId, api.user.id)
    const refused = await post(`/v1/products/${product}/devices`, { id: third, claim_user: stranger.username })
    assert.equal(refused.status, 403)
    await particle.removeDeviceOwner({ product, deviceId: third })
    assert.equal(api.registry.get(third)?.ownerId, null)
    assert.equal(api.products.devices.of(third)?.productId, productId)
  })

  it('lists devices with filters, order and pages', async () => {
    await particle.renameDevice({ product, deviceId: third, name: 'A lamp of nobody' })
    const names = async (query: string): Promise<string[]> => {
      const { body } = await api.request('GET', `/v1/products/${product}/devices?${query}`)
      return body.devices.map((device: { name: string }) => device.name)
    }
    const page = await bodyOf(
      particle.listDevices({ product, sortAttr: 'deviceName', sortDir: 'desc', page: 1, perPage: 1 }),
    )
    assert.deepEqual(page.meta, { page: 1, per_page: 1, total: 2, total_pages: 2 })
    assert.equal(page.devices[0].name, 'lamp one')
    assert.deepEqual(await names('sortAttr=deviceName&perPage=1&page=2'), ['lamp one'])
    assert.deepEqual(await names('deviceName=NOBODY'), ['A lamp of nobody'])
    assert.deepEqual(await names(`deviceId=${first.slice(-6)}`), ['lamp one'])
    assert.deepEqual(await names('serialNumber=0003'), ['A lamp of nobody'])
    assert.deepEqual(await names('page=9'), [])
    assert.deepEqual(
      await names('sortAttr=lastConnection&sortDir=asc'),
      ['lamp one', 'A lamp of nobody'].sort(() => 0),
    )
    for (const bad of ['page=0', 'per_page=x', 'sortAttr=owner', 'sortDir=up']) {
      assert.equal((await api.request('GET', `/v1/products/${product}/devices?${bad}`)).status, 400, bad)
    }
  })

  it('shows what only devices of a product have, on both routes', async () => {
    const device = await bodyOf(particle.getDevice({ product, deviceId: first.toUpperCase() }))
    assert.equal(device.product_id, productId)
    assert.equal(device.platform_id, 43)
    const { development, quarantined, denied, groups, desired_firmware_version } = device
    assert.deepEqual(
      [development, quarantined, denied, groups, desired_firmware_version],
      [false, false, false, [], null],
    )
    const own = await bodyOf(particle.getDevice({ deviceId: first }))
    assert.equal(own.product_id, productId)
    assert.equal((await failureOf(particle.getDevice({ product, deviceId: second }))).statusCode, 404)
  })

  it('keeps groups, and puts devices into them', async () => {
    const groups = `/v1/products/${product}/groups`
    const made = await post(groups, { name: 'kitchen', color: '#ff0000', description: 'Warm' })
    assert.equal(made.status, 201)
    assert.deepEqual([made.body.group.name, made.body.group.device_count], ['kitchen', 0])
    assert.equal((await post(groups, { name: 'kitchen' })).status, 400)
    assert.equal((await post(groups, { name: 'No Spaces' })).status, 400)
    const put = await post(`/v1/products/${product}/devices/${first}`, { groups: ['kitchen'] }, 'PUT')
    assert.deepEqual(put.body.groups, ['kitchen'])
    assert.equal((await post(`/v1/products/${product}/devices/${first}`, { groups: ['x'] }, 'PUT')).status, 404)
    assert.equal((await api.request('GET', `${groups}/kitchen`)).body.group.device_count, 1)
    const found = await bodyOf(particle.listDevices({ product, groups: ['kitchen'] }))
    assert.deepEqual(
      found.devices.map(({ id }: { id: string }) => id),
      [first],
    )
    const bulk = { action: 'groups', devices: [first, third], metadata: { add: ['kitchen'], remove: [] } }
    assert.equal((await post(`/v1/products/${product}/devices`, bulk, 'PUT')).body.ok, true)
    assert.equal((await api.request('GET', `${groups}?name=kit`)).body.groups[0].device_count, 2)
    assert.equal((await post(`${groups}/kitchen`, { name: 'cellar' }, 'PUT')).body.group.device_count, 2)
    assert.deepEqual(api.products.devices.of(third)?.groups, ['cellar'])
    const unknown = { action: 'groups', devices: [second], metadata: { add: ['cellar'] } }
    assert.equal((await post(`/v1/products/${product}/devices`, unknown, 'PUT')).status, 404)
    assert.equal((await api.request('DELETE', `${groups}/cellar`)).status, 204)
    assert.deepEqual(api.products.devices.of(third)?.groups, [])
    assert.equal((await api.request('GET', `${groups}/cellar`)).status, 404)
    await post(groups, { name: 'beta' })
  })

  it('changes devices in the product as their owners do on their own', async () => {
    const renamed = await bodyOf(particle.renameDevice({ product, deviceId: first, name: 'front door' }))
    assert.equal(renamed.name, 'front door')
    const noted = await bodyOf(particle.setDeviceNotes({ product, deviceId: third, notes: 'in a box' }))
    assert.equal(noted.notes, 'in a box')
    assert.ok(noted.updated_at)
    const offline = await failureOf(particle.signalDevice({ product, deviceId: first, signal: true }))
    assert.equal(offline.statusCode, 408)
    api.gateway.online.add(first)
    const signalled = await bodyOf(particle.signalDevice({ product, deviceId: first, signal: true }))
    assert.deepEqual(signalled, { id: first, connected: true, signaling: true })
    const marked = await bodyOf(particle.markAsDevelopmentDevice({ product, deviceId: first, development: true }))
    assert.equal(marked.development, true)
    const all = await bodyOf(
      particle.updateDevice({ product, deviceId: first, name: 'door', notes: 'n', development: false }),
    )
    assert.deepEqual([all.name, all.notes, all.development], ['door', 'n', false])
    const form = await api.request('PUT', `/v1/products/${product}/devices/${first}`, {
      body: new URLSearchParams({ firmware_updates_forced: 'true' }),
    })
    assert.equal(form.body.firmware_updates_forced, true)
    const target = await post(`/v1/devices/${first}`, { pinned_build_target: '1.1.0' }, 'PUT')
    assert.equal(target.body.pinned_build_target, '1.1.0')
    assert.equal((await post(`/v1/devices/${first}`, { pinned_build_target: '9.9.9' }, 'PUT')).status, 400)
  })

  it('calls functions, reads variables and pings through the product', async () => {
    api.registry.recordDescribe(first, { functions: ['led'], variables: { temp: 'double' } })
    api.gateway.answerCall = (_id, _name, argument) => ({ ok: true, value: argument.length })
    api.gateway.variables.set('temp', 21.5)
    const called = await bodyOf(particle.callFunction({ product, deviceId: first, name: 'led', argument: 'on' }))
    assert.equal(called.return_value, 2)
    const read = await bodyOf(particle.getVariable({ product, deviceId: first, name: 'temp' }))
    assert.deepEqual([read.result, read.coreInfo.product_id], [21.5, productId])
    const ping = await api.request('PUT', `/v1/products/${product}/devices/${first}/ping`)
    assert.deepEqual(ping.body, { online: true, ok: true })
    // Not a 404, which the CLI would show as a function that there is not.
    const foreign = await failureOf(particle.callFunction({ product, deviceId: second, name: 'led', argument: '' }))
    assert.equal(foreign.statusCode, 403)
    const offline = await failureOf(particle.callFunction({ product, deviceId: third, name: 'led', argument: '' }))
    assert.equal(offline.statusCode, 408)
  })

  it('uploads firmware, and says what is wrong with a file that cannot be it', async () => {
    events.length = 0
    const file = productApplication({ id: 43, version: 1 })
    const made = await upload(1, file)
    assert.equal(made.version, 1)
    assert.equal(made.size, file.length)
    assert.deepEqual([made.name, made.product_default, made.groups, made.device_count], ['firmware.bin', false, [], 0])
    assert.equal(made.uploaded_by.username, api.user.username)
    const told = events.find(({ name }) => name === 'particle/firmware/create')
    assert.deepEqual([told?.data, told?.coreid, told?.productId], ['{"version":"1"}', 'api', productId])
    const back = await particle.downloadProductFirmware({ product, version: 1 })
    assert.deepEqual(Buffer.from(back as Buffer), Buffer.from(file))

    const refusal = async (version: number, bytes: Uint8Array): Promise<string> =>
      (await failureOf(upload(version, bytes))).body.error ?? ''
    assert.match(await refusal(1, productApplication()), /has firmware version 1 already/)
    assert.match(await refusal(2, file), /says that it is version 1, and not 2/)
    assert.match(await refusal(2, productApplication({ id: 12_345, version: 2 })), /is for product 12345/)
    assert.match(await refusal(2, productApplication(undefined, { platformId: 12, index: 2 })), /is for Argon/)
    assert.match(await refusal(2, Buffer.from('nonsense')), /is no module/)
    assert.match(await refusal(0, productApplication()), /whole number from 1/)
    const damaged = Uint8Array.from(file)
    damaged.fill(0xff, 60, 70)
    assert.match(await refusal(2, damaged), /CRC-32/)

    const plain = productApplication()
    await upload(2, plain)
    assert.match(await refusal(3, plain), /is version 2 of the product already/)
    const bundle = buildBundle({
      application: { name: 'app.bin', data: productApplication() },
      assets: [{ name: 'a.txt', data: Buffer.from('hello') }],
    })
    const form = new FormData()
    form.append('binary', new Blob([bundle], { type: 'application/zip' }), 'bundle.zip')
    form.append('version', '3')
    form.append('mandatory', 'true')
    const zipped = await api.request('POST', `/v1/products/${product}/firmware`, { body: form })
    assert.deepEqual([zipped.status, zipped.body.name, zipped.body.mandatory], [201, 'firmware.zip', true])
  })

  it('lists and edits firmware', async () => {
    const list = await bodyOf(particle.listProductFirmware({ product }))
    assert.deepEqual(
      list.map(({ version }: { version: number }) => version),
      [3, 2, 1],
    )
    const edited = await bodyOf(
      particle.updateProductFirmware({ product, version: 1, title: 'First', description: '' }),
    )
    assert.equal(edited.title, 'First')
    assert.equal((await bodyOf(particle.getProductFirmware({ product, version: 1 }))).title, 'First')
    assert.equal((await failureOf(particle.getProductFirmware({ product, version: 9 }))).statusCode, 404)
    assert.equal((await failureOf(particle.getProductFirmware({ product, version: 'x' as never }))).statusCode, 404)
  })

  it('releases only what a device has run, to all or to groups, in every spelling', async () => {
    const release = (more: object) => bodyOf(particle.releaseProductFirmware({ product, version: 1, ...more } as never))
    const early = await failureOf(release({ product_default: true }))
    assert.equal(early.statusCode, 400)
    assert.match(early.body.error ?? '', /No device of the product has run version 1 yet/)

    runs(first, 1)
    const device = await bodyOf(particle.getDevice({ product, deviceId: first }))
    assert.equal(device.firmware_version, 1)
    events.length = 0
    const released = await release({ product_default: true })
    assert.deepEqual([released.product_default, released.groups, released.device_count], [true, [], 1])
    const told = events.find(({ name }) => name === 'particle/firmware/release')
    assert.deepEqual([told?.data, told?.coreid, told?.productId], ['{"immediate":false,"version":1}', 'api', productId])
    const targeted = await bodyOf(particle.getDevice({ product, deviceId: third }))
    assert.equal(targeted.targeted_firmware_release_version, 1)

    // An application that says no version is known by its hash.
    const hash = parseModule(await api.products.firmware.content(productId, 2)).sha256
    const part = { maxSize: 1, checked: 30, passed: 30, dependencies: [] }
    const user = { ...part, function: 'user_part', index: 1, version: 1, store: 'main', hash } as const
    api.registry.recordDescribe(third, { system: { modules: [user] } })
    api.registry.recordConnection(third, { platformId: 43, productId: 43, productVersion: 0 })
    api.gateway.connect(third)
    assert.equal((await bodyOf(particle.getDevice({ product, deviceId: third }))).firmware_version, 2)
    assert.equal(
      (await failureOf(particle.releaseProductFirmware({ product, version: 2, groups: ['x'] } as never))).statusCode,
      404,
    )
    for (const [field, value] of [
      ['groups[]', 'beta'],
      ['groups', 'beta'],
      ['groups[0]', 'beta'],
    ] as const) {
      const body = new URLSearchParams({ version: '2', intelligent: 'true', [field]: value })
      const answer = await api.request('PUT', `/v1/products/${product}/firmware/release`, { body })
      assert.deepEqual([answer.status, answer.body.groups, answer.body.intelligent], [200, ['beta'], true], field)
    }
    const group = await api.request('GET', `/v1/products/${product}/groups/beta`)
    assert.equal(group.body.group.fw_version, 2)
    // As older clients do it: to all.
    assert.equal((await release({})).product_default, true)
    assert.equal((await failureOf(release({ product_default: false, version: 3 }))).statusCode, 400)
    const removed = await api.request('DELETE', `/v1/products/${product}/firmware/2`)
    assert.equal(removed.status, 400)
    assert.equal((await api.request('DELETE', `/v1/products/${product}/firmware/3`)).status, 204)
  })

  it('previews what a release would do', async () => {
    const query = 'action=edit_groups_for_firmware&firmware_version=2&product_default=true'
    const { body } = await api.request('GET', `/v1/products/${product}/impact?${query}`)
    assert.deepEqual(body, { devices: { firmware_update: { total: 1, by_version: [{ version: 1, total: 1 }] } } })
  })

  it('locks a device to a version, and flashes it when it is online', async () => {
    const locked = await bodyOf(
      particle.lockDeviceProductFirmware({ product, deviceId: first, desiredFirmwareVersion: 2, flash: true }),
    )
    assert.deepEqual([locked.desired_firmware_version, locked.flash], [2, true])
    const flashed = api.updates.flashed.at(-1)
    assert.deepEqual([flashed?.id, flashed?.by], [first, api.user.id])
    assert.deepEqual(Buffer.from(flashed?.file ?? []), Buffer.from(await api.products.firmware.content(productId, 2)))
    const unknown = particle.lockDeviceProductFirmware({
      product,
      deviceId: first,
      desiredFirmwareVersion: 99,
    } as never)
    assert.equal((await failureOf(unknown)).statusCode, 404)
    const unlocked = await bodyOf(particle.unlockDeviceProductFirmware({ product, deviceId: first }))
    assert.equal(unlocked.desired_firmware_version, null)
    await particle.lockDeviceProductFirmware({ product, deviceId: first, desiredFirmwareVersion: 2, flash: false })
    const form = await api.request('PUT', `/v1/products/${product}/devices/${first}`, {
      body: new URLSearchParams({ desired_firmware_version: 'null' }),
    })
    assert.equal(form.body.desired_firmware_version, null)
  })

  it('flashes files through the product; on their own, owners flash development devices', async () => {
    const files = { 'firmware.bin': Buffer.from(productApplication()) }
    api.gateway.online.add(first)
    const flashed = await bodyOf(particle.flashDevice({ product, deviceId: first, files }))
    assert.equal(flashed.status, 'Update started')
    const refused = await failureOf(particle.flashDevice({ deviceId: first, files }))
    assert.equal(refused.statusCode, 403)
    assert.match(refused.body.error ?? '', /development device/)
    await particle.markAsDevelopmentDevice({ product, deviceId: first, development: true })
    assert.equal((await bodyOf(particle.flashDevice({ deviceId: first, files }))).status, 'Update started')
    await particle.markAsDevelopmentDevice({ product, deviceId: first, development: false })
  })

  it('finds a device by its serial number, for those whom it concerns', async () => {
    const found = await bodyOf(particle.lookupSerialNumber({ serialNumber: 'sn-0003' }))
    assert.deepEqual([found.deviceID, found.device_id, found.platform_id], [third, third, 43])
    const foreign = particle.lookupSerialNumber({ serialNumber: 'SN-0003', auth: strangerToken })
    assert.equal((await failureOf(foreign)).statusCode, 404)
    assert.equal((await failureOf(particle.lookupSerialNumber({ serialNumber: third }))).statusCode, 404)
  })

  it('gives claim codes for its devices', async () => {
    const { claim_code, device_ids } = await bodyOf(particle.getClaimCode({ product }))
    assert.equal(claim_code.length, 63)
    assert.deepEqual(device_ids, [first])
    const fresh = '422b00000000000000000011'
    await api.registry.makeKnown([fresh])
    assert.equal(await api.registry.claimByCode(fresh, claim_code), api.user.id)
    assert.equal(api.products.devices.of(fresh)?.productId, productId)
  })

  it('keeps a device that only reports it in quarantine, until somebody decides', async () => {
    events.length = 0
    api.registry.recordConnection(second, { platformId: 43, productId, productVersion: 1 })
    api.gateway.connect(second)
    const list = await bodyOf(particle.listDevices({ product, quarantined: true } as never))
    const quarantined = await api.request('GET', `/v1/products/${product}/devices?quarantined=true`)
    assert.equal(list.devices.length, 4)
    assert.equal(quarantined.body.devices.length, 1)
    const [device] = quarantined.body.devices
    assert.deepEqual([device.id, device.quarantined, device.denied, device.owner], [second, true, false, null])
    // No privileges: no calls, and its product stays its platform.
    const call = particle.callFunction({ product, deviceId: second, name: 'led', argument: '' })
    assert.equal((await failureOf(call)).statusCode, 403)
    assert.equal((await bodyOf(particle.getDevice({ deviceId: second, auth: strangerToken }))).product_id, 43)

    assert.equal((await particle.removeDevice({ product, deviceId: second, deny: true } as never)).statusCode, 204)
    assert.equal((await bodyOf(particle.getDevice({ product, deviceId: second }))).denied, true)
    const allowed = await post(`/v1/products/${product}/devices/${second}`, { denied: false }, 'PUT')
    assert.deepEqual([allowed.body.denied, allowed.body.quarantined], [false, true])
    // Its firmware says that it is of this product: it may be approved, though it is somebody else's.
    assert.deepEqual((await post(`/v1/products/${product}/devices`, { id: second })).body.updatedDeviceIds, [second])
    assert.equal((await bodyOf(particle.getDevice({ product, deviceId: second }))).quarantined, false)
    await particle.removeDevice({ product, deviceId: second, deny: true } as never)
    assert.equal(api.products.devices.of(second), undefined)
  })

  it('lets friendly devices in without a word where the settings say so', async () => {
    await post(`/v1/products/${product}`, { settings: { quarantine: false } }, 'PUT')
    const friendly = '422b00000000000000000021'
    await api.registry.makeKnown([friendly])
    for (const id of [friendly, second]) {
      api.registry.recordConnection(id, { platformId: 43, productId, productVersion: 1 })
      api.gateway.connect(id)
    }
    // One change after the other: this one comes behind that of the watch.
    await api.products.devices.import(productId, [])
    assert.equal(api.products.devices.of(friendly)?.productId, productId)
    // Denied, and somebody else's.
    assert.equal(api.products.devices.of(second), undefined)
  })

  it('refuses whoever is not of the team, and shows them nothing', async () => {
    const routes: [string, string, object?][] = [
      ['GET', ''],
      ['PUT', '', { name: 'x' }],
      ['DELETE', '', { force: true }],
      ['GET', '/devices'],
      ['POST', '/devices', { id: first }],
      ['PUT', '/devices', { action: 'groups', devices: [first], metadata: {} }],
      ['GET', `/devices/${first}`],
      ['PUT', `/devices/${first}`, { name: 'mine' }],
      ['DELETE', `/devices/${first}`],
      ['DELETE', `/devices/${first}/owner`],
      ['PUT', `/devices/${first}/ping`],
      ['POST', `/devices/${first}/led`, {}],
      ['GET', `/devices/${first}/temp`],
      ['GET', '/firmware'],
      ['GET', '/firmware/1'],
      ['GET', '/firmware/1/binary'],
      ['PUT', '/firmware/1', { title: 'x' }],
      ['DELETE', '/firmware/1'],
      ['PUT', '/firmware/release', { version: 1, product_default: true }],
      ['GET', '/impact?firmware_version=1'],
      ['GET', '/groups'],
      ['POST', '/groups', { name: 'x' }],
      ['GET', '/groups/beta'],
      ['PUT', '/groups/beta', { name: 'x' }],
      ['DELETE', '/groups/beta'],
      ['POST', '/device_claims', {}],
    ]
    for (const [method, path, json] of routes) {
      const init = json && { body: JSON.stringify(json), headers: { 'content-type': 'application/json' } }
      const answer = await api.request(method, `/v1/products/${product}${path}`, { token: strangerToken, ...init })
      assert.equal(answer.status, 403, `${method} ${path}`)
      assert.doesNotMatch(answer.text, /access token/i)
    }
    assert.deepEqual((await bodyOf(particle.listProducts({ auth: strangerToken }))).products, [])
    assert.equal((await failureOf(particle.getProduct({ product: '4711' }))).statusCode, 404)
    assert.equal(api.registry.get(first)?.name, 'door')
  })

  it('gives its unclaimed devices only to the team and to customers', async () => {
    assert.equal(api.registry.get(third)?.ownerId, null)
    const claim = await failureOf(particle.claimDevice({ deviceId: third, auth: strangerToken }))
    assert.equal(claim.statusCode, 403)
    const key = { deviceID: third, publicKey: devicePem(), algorithm: 'rsa' }
    const provision = await api.request('POST', `/v1/provisioning/${third}`, {
      token: strangerToken,
      body: JSON.stringify(key),
      headers: { 'content-type': 'application/json' },
    })
    assert.equal(provision.status, 403)
    assert.equal((await post(`/v1/provisioning/${third}`, key)).status, 200)
    await particle.claimDevice({ deviceId: third })
    assert.equal(api.registry.get(third)?.ownerId, api.user.id)
  })

  it('takes a device whose key is registered for it', async () => {
    const id = '422b00000000000000000031'
    const key = {
      deviceID: id,
      publicKey: devicePem(),
      algorithm: 'rsa',
      product_id: productId,
      serial_number: 'SN-31',
    }
    assert.equal((await post(`/v1/provisioning/${id}`, key)).status, 200)
    const device = await bodyOf(particle.getDevice({ product, deviceId: id }))
    assert.deepEqual([device.serial_number, device.product_id, device.platform_id], ['SN-31', productId, 43])
    await particle.removeDevice({ product, deviceId: id })
    assert.equal((await failureOf(particle.getDevice({ product, deviceId: id }))).statusCode, 404)
  })

  it('goes when it has no devices, or when its owner insists', async () => {
    const refused = await api.request('DELETE', `/v1/products/${product}`)
    assert.equal(refused.status, 400)
    assert.match(refused.body.error, /has \d+ devices/)
    assert.equal((await post(`/v1/products/${product}`, { force: true }, 'DELETE')).status, 204)
    assert.equal((await failureOf(particle.getProduct({ product }))).statusCode, 404)
    assert.equal((await bodyOf(particle.getDevice({ deviceId: first }))).product_id, 43)
    const next = await post('/v1/products', { name: 'Lamp', platform_id: 43 })
    assert.equal(next.body.product.id > productId, true)
  })

  it('notes in the audit log what was done to it', async () => {
    const actions = ['product.create', 'device.import', 'firmware.create', 'firmware.release', 'product.remove']
    await api.identity.audit.flush()
    const rows = await api.store.db.selectFrom('audit_log').select('action').distinct().execute()
    const noted = rows.map(({ action }) => action)
    for (const action of actions) assert.ok(noted.includes(action), action)
  })
})
