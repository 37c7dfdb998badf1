/** particle-api-js: firmware and products. */
import assert from 'node:assert/strict'
import { type Failure, refused, type SdkRow, works } from './sdk-stage.ts'
import { eventually, newerApplication } from './world.ts'

export const firmwareRows: readonly SdkRow[] = [
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
