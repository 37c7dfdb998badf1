/** A product from its first device to a release, with a device on a real connection and the whole cloud. */
import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { generateDeviceKey } from '@aloe/protocol'
import Particle from 'particle-api-js'
import { pino } from 'pino'
import { type Cloud, type CloudOptions, startCloud } from './cloud.ts'
import { FakeDevice, linuxApplication, linuxSystem } from './gateway/fake-device.ts'
import { until } from './gateway/until.ts'
import { writeReleaseFolder } from './updates/catalogue-fixture.ts'

const id = '422b00000000000000000001'
const password = 'a password for tests'

interface Stream {
  on(
    event: string,
    listener: (event: { name: string; data: string; version?: number; productID?: number }) => void,
  ): void
  abort(): void
  stopIdleTimeout(): void
}

// biome-ignore lint/suspicious/noExplicitAny: the assertions are the types
async function bodyOf(promise: Promise<{ body: unknown }>): Promise<any> {
  return (await promise).body
}

describe('a product in a cloud', () => {
  let folder: string
  let options: CloudOptions
  let cloud: Cloud
  let device: FakeDevice
  let particle: Particle
  let product: number
  const heard: { name: string; data: string; version?: number; productID?: number }[] = []

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aloe-product-'))
    const releases = join(folder, 'releases')
    await writeReleaseFolder(releases, { version: '1.0.0', systemVersion: 1_000, bootloaderVersion: 100 })
    options = {
      dataDir: join(folder, 'data'),
      ...{ httpPort: 0, tcpPort: 0, udpPort: 0 },
      releases: [releases],
      admin: { username: 'admin', password },
      logger: pino({ level: process.env.ALOE_LOG_LEVEL ?? 'silent' }),
      openEnrolment: true,
      limits: { updates: { settle: 10 } },
    }
    cloud = await startCloud(options)
  })
  after(async () => {
    device?.stop()
    await cloud.close()
    await rm(folder, { recursive: true, force: true })
  })

  const logIn = async (): Promise<void> => {
    const anonymous = new Particle({ baseUrl: cloud.httpUrl })
    const { access_token } = await bodyOf(anonymous.login({ username: 'admin', password }))
    particle = new Particle({ baseUrl: cloud.httpUrl, auth: access_token })
  }
  const get = () => bodyOf(particle.getDevice({ product, deviceId: id }))

  it('takes a device that has never been here, which is in it when it comes', async () => {
    await logIn()
    const made = await particle.post({
      uri: '/v1/user/products',
      data: { product: { name: 'Lamp', platform_id: 43 } },
    } as never)
    product = (made.body as { product: { id: number } }).product.id
    const imported = await bodyOf(particle.addDeviceToProduct({ product, file: Buffer.from(`${id}\n`) }))
    assert.deepEqual(imported.updatedDeviceIds, [id])
    const stream = (await particle.getEventStream({ product: String(product) })) as unknown as Stream
    stream.on('event', (event) => heard.push(event))

    // biome-ignore lint/suspicious/noExplicitAny: tests look into answers freely
    const found: any = await (await fetch(`${cloud.httpUrl}/.well-known/aloe`)).json()
    device = new FakeDevice({
      id,
      port: cloud.tcpPort,
      deviceKey: await generateDeviceKey(),
      serverKey: createPublicKey(found.keys.tcp.publicKey),
      modules: [...linuxSystem(1_000, 100), linuxApplication(1_000)],
      functions: { double: (argument) => 2 * Number(argument) },
      reconnect: 20,
    }).start()
    await until(() => device.reports === 1)
    device.publish('temperature', '21')
    await until(() => heard.some(({ name }) => name === 'temperature'))
    const event = heard.find(({ name }) => name === 'temperature')
    assert.deepEqual([event?.data, event?.productID, event?.version], ['21', product, 0])
    const called = await bodyOf(particle.callFunction({ product, deviceId: id, name: 'double', argument: '21' }))
    assert.equal(called.return_value, 42)
    stream.abort()
    stream.stopIdleTimeout()
  })

  it('flashes its firmware to a device, knows the version by the application, and releases what has run', async () => {
    const file = Buffer.from(linuxApplication(1_000))
    await particle.uploadProductFirmware({ product, file, version: 3, title: 'Three' } as never)
    await assert.rejects(particle.releaseProductFirmware({ product, version: 3, product_default: true } as never))
    const locked = await bodyOf(
      particle.lockDeviceProductFirmware({ product, deviceId: id, desiredFirmwareVersion: 3, flash: true }),
    )
    assert.equal(locked.flash, true)
    for (let tries = 0; (await get()).firmware_version !== 3; tries++) {
      assert.ok(tries < 1_000, 'the device never ran the version that it is locked to')
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    const released = await bodyOf(
      particle.releaseProductFirmware({ product, version: 3, product_default: true } as never),
    )
    assert.deepEqual([released.product_default, released.device_count], [true, 1])
    await until(() => device.connected)
    const again = await bodyOf(
      particle.lockDeviceProductFirmware({ product, deviceId: id, desiredFirmwareVersion: 3, flash: true }),
    )
    assert.equal(again.flash, false)
    await particle.unlockDeviceProductFirmware({ product, deviceId: id })
  })

  it('is there after a restart, with the device, the firmware and its release', async () => {
    const before = await get()
    device.stop()
    await cloud.close()
    cloud = await startCloud(options)
    await logIn()
    const { id: _, firmware_version, groups, targeted_firmware_release_version, product_id } = await get()
    assert.deepEqual(
      [firmware_version, groups, targeted_firmware_release_version, product_id],
      [3, before.groups, 3, product],
    )
    const [firmware] = await bodyOf(particle.listProductFirmware({ product }))
    assert.deepEqual([firmware.version, firmware.product_default, firmware.device_count], [3, true, 1])
  })
})
