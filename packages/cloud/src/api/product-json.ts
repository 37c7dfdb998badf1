/** Products, their groups, firmware and devices as answers show them (cloud-api.md 1.3, 1.7, 3.1). */
import { type DeviceRecord, firmwareVersionOf } from '../devices/device.ts'
import type { FirmwareVersion } from '../products/product-firmware.ts'
import type { ProductGroup } from '../products/product-groups.ts'
import type { ProductRecord } from '../products/products.ts'
import { releasedTo } from '../products/targeting.ts'
import { type ApiContext, iso } from './context.ts'

export function productJson(product: ProductRecord, { identity, products }: ApiContext): Record<string, unknown> {
  const { settings } = product
  return {
    id: product.id,
    platform_id: product.platformId,
    name: product.name,
    slug: product.slug,
    description: product.description,
    user: product.ownerId,
    owner: identity.users.get(product.ownerId)?.username ?? null,
    groups: products.groups.list(product.id).map(({ name }) => name),
    subscription_id: null,
    settings: {
      location: { opt_in: settings.location },
      known_application: { opt_in: settings.knownApplication },
      quarantine: settings.quarantine,
      release_untested: settings.releaseUntested,
    },
    device_protection: 'disabled',
    requires_activation_codes: false,
    device_count: products.devices.members(product.id).size,
    created_at: iso(product.createdAt),
    updated_at: iso(product.updatedAt),
  }
}

export function groupJson(group: ProductGroup, { products }: ApiContext): Record<string, unknown> {
  const { productId, name, description, color } = group
  return {
    name,
    description,
    fw_version: products.firmware.release(productId, name)?.version ?? null,
    color,
    device_count: products.devices.inGroup(productId, name).size,
    created_at: iso(group.createdAt),
    updated_at: iso(group.updatedAt),
  }
}

/** @param counts how many devices run each version, from `countsOf` */
export function firmwareJson(
  firmware: FirmwareVersion,
  { products }: ApiContext,
  counts: ReadonlyMap<number, number>,
): Record<string, unknown> {
  const { productId, version } = firmware
  const releases = products.firmware.releases(productId).filter((release) => release.version === version)
  const isDefault = releases.some(({ group }) => group === null)
  return {
    _id: firmware.id,
    version,
    title: firmware.title,
    description: firmware.description,
    name: firmware.fileName,
    size: firmware.size,
    product_default: isDefault,
    // What older clients read.
    current: isDefault,
    groups: releases.flatMap(({ group }) => group ?? []).sort(),
    intelligent: releases.some(({ intelligent }) => intelligent),
    mandatory: firmware.mandatory,
    product_id: productId,
    uploaded_by: { username: firmware.uploadedBy },
    uploaded_on: iso(firmware.uploadedAt),
    released_on: iso(firmware.releasedAt),
    updated_at: iso(firmware.updatedAt),
    device_count: counts.get(version) ?? 0,
  }
}

/** How many of the product's devices run which version. */
export function countsOf(productId: number, { products, registry }: ApiContext): Map<number, number> {
  const counts = new Map<number, number>()
  for (const deviceId of products.devices.members(productId)) {
    const device = registry.get(deviceId)
    const version = device && firmwareVersionOf(device)
    if (version !== null && version !== undefined) counts.set(version, (counts.get(version) ?? 0) + 1)
  }
  return counts
}

/** What a device object has more when the device belongs to a product; nothing for one of no product. */
export function membershipJson(device: DeviceRecord, { products }: ApiContext): Record<string, unknown> {
  const member = products.devices.of(device.id)
  if (!member) return {}
  const target = releasedTo(member, products.firmware.released(member.productId))
  return {
    firmware_product_id: member.productId,
    firmware_version: firmwareVersionOf(device),
    desired_firmware_version: member.desiredVersion,
    targeted_firmware_release_version: member.development ? null : (target?.version ?? null),
    development: member.development,
    quarantined: false,
    denied: false,
    groups: member.groups,
    imported_at: iso(member.importedAt),
  }
}

/** A device that reports the product and is no member: no more than the product needs to decide on it. */
export function quarantinedJson(device: DeviceRecord, productId: number, context: ApiContext): Record<string, unknown> {
  const online = context.gateway.isOnline(device.id)
  return {
    id: device.id,
    name: null,
    owner: null,
    last_ip_address: null,
    last_heard: iso(device.lastHeardAt),
    last_handshake_at: iso(device.lastHandshakeAt),
    product_id: productId,
    platform_id: device.platformId,
    online,
    connected: online,
    status: device.status,
    serial_number: device.serialNumber,
    functions: null,
    variables: null,
    firmware_product_id: productId,
    firmware_version: device.productVersion,
    desired_firmware_version: null,
    targeted_firmware_release_version: null,
    development: false,
    quarantined: true,
    denied: context.products.devices.denied(productId).has(device.id),
    groups: [],
  }
}
