/**
 * Watches devices for their products: which version of the firmware they run, and whether one that only reports a product
 * may be let in.
 */
import type { Logger } from 'pino'
import { firmwareVersionOf } from '../devices/device.ts'
import type { DeviceRegistry } from '../devices/registry.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { ProductRecord } from './product.ts'
import type { ProductDevice } from './product-devices.ts'
import type { Products } from './products.ts'

export interface ProductWatchOptions {
  readonly products: Products
  readonly registry: DeviceRegistry
  readonly gateway: Pick<Gateway, 'observe' | 'ownerChanged'>
  readonly log: Logger
  /** Whether a user works on the product, its owner included. */
  readonly inTeam: (product: ProductRecord, userId: string) => boolean
}

/** @returns what ends the watch */
export function watchProducts(options: ProductWatchOptions): () => void {
  const watch = new ProductWatch(options)
  const { products, registry, gateway } = options
  for (const { id } of products.all()) watch.lookAtAll(id)
  registry.onProductClaim((deviceId, userId, productId) => watch.mayClaim(deviceId, userId, productId))
  const unobserve = [
    gateway.observe({
      online: (deviceId) => {
        watch.look(deviceId)
        watch.greet(deviceId)
      },
      described: (deviceId) => watch.look(deviceId),
    }),
    products.devices.observe((before, after) => watch.memberChanged(before, after)),
    products.firmware.observe({ uploaded: ({ productId }) => watch.lookAtAll(productId) }),
  ]
  return () => {
    for (const end of unobserve) end()
  }
}

class ProductWatch {
  readonly #options: ProductWatchOptions

  constructor(options: ProductWatchOptions) {
    this.#options = options
  }

  lookAtAll(productId: number): void {
    for (const deviceId of this.#options.products.devices.members(productId)) this.look(deviceId)
  }

  /** Finds out which version the device runs. */
  look(deviceId: string): void {
    const { registry, products, log } = this.#options
    const device = registry.get(deviceId)
    if (!device || device.memberOf === null) return
    const productId = device.memberOf
    const application = device.describe?.modules.find((each) => each.function === 'user_part' && each.store === 'main')
    const hash = application?.hash
    const installed = hash === undefined ? undefined : products.firmware.byHash(productId, hash)
    const applicationVersion = installed?.version ?? null
    if (applicationVersion !== device.applicationVersion) registry.setApplicationVersion(deviceId, applicationVersion)
    const version = firmwareVersionOf({ ...device, applicationVersion })
    const firmware = version === null ? undefined : products.firmware.get(productId, version)
    if (!firmware || firmware.hasRun) return
    products.firmware.ran(productId, firmware.version).catch((error: unknown) => {
      log.error({ error, productId, version }, 'that a device ran this firmware could not be stored')
    })
  }

  /**
   * A device that reports a product and is not imported stays in quarantine. Where the product's settings say so, it is
   * let in when nobody owns it or somebody of the team does (cloud-api.md 1.7).
   */
  greet(deviceId: string): void {
    const { registry, products, log, inTeam } = this.#options
    const device = registry.get(deviceId)
    if (!device || device.memberOf !== null || device.productId === null) return
    const product = products.get(device.productId)
    if (!product || product.settings.quarantine || products.devices.denied(product.id).has(deviceId)) return
    if (device.platformId !== product.platformId) return
    if (device.ownerId !== null && !inTeam(product, device.ownerId)) return
    log.info({ deviceId, productId: product.id }, 'device let into the product that it reports')
    products.devices.import(product.id, [deviceId]).catch((error: unknown) => {
      log.error({ error, deviceId, productId: product.id }, 'the device could not be let into its product')
    })
  }

  /** From now on its events carry another product, or none. */
  memberChanged(before: ProductDevice | undefined, after: ProductDevice | undefined): void {
    const member = after ?? before
    if (!member || before?.productId === after?.productId) return
    this.look(member.deviceId)
    this.#options.gateway.ownerChanged(member.deviceId)
  }

  /**
   * A code of somebody of the team takes devices into the product; that of a customer is for devices that are in it.
   */
  async mayClaim(deviceId: string, userId: string, productId: number): Promise<boolean> {
    const { registry, products, inTeam } = this.#options
    const product = products.get(productId)
    const device = registry.get(deviceId)
    if (!product || !device) return false
    if (device.memberOf === product.id) return true
    if (device.memberOf !== null || !inTeam(product, userId)) return false
    if (device.platformId !== null && device.platformId !== product.platformId) return false
    await products.devices.import(productId, [deviceId])
    return true
  }
}
