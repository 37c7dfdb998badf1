/** What the cloud knows of a device, and how it lies in the store. */
import type { SystemDescribe } from '@aloe/firmware'
import type { Insertable, Selectable } from 'kysely'
import type { DeviceTable } from '../store/schema.ts'
import type { KeyAlgorithm } from './keys.ts'

export interface DeviceRecord {
  /** 24 lower-case hex characters. */
  readonly id: string
  readonly name: string | null
  /** User id; null while nobody has claimed the device. */
  readonly ownerId: string | null
  /** Null until the device has said so. */
  readonly platformId: number | null
  /** What the device reports, which makes it no member of that product. */
  readonly productId: number | null
  readonly productVersion: number | null
  /** The product that the device is an approved member of; in memory only, kept by `products/product-devices.ts`. */
  readonly memberOf: number | null
  /** The version of that product's firmware whose application is installed; in memory only. */
  readonly applicationVersion: number | null
  readonly serialNumber: string | null
  /** The Device OS version that the owner chose to compile for. */
  readonly pinnedBuildTarget: string | null
  readonly notes: string | null
  /** SPKI DER, base64 (`keyObject` of keys.ts makes a KeyObject of it); null when none is registered. */
  readonly publicKey: string | null
  readonly keyAlgorithm: KeyAlgorithm | null
  /** User id of who registered the key. */
  readonly provisionedBy: string | null
  readonly lastIp: string | null
  /** Unix milliseconds, as all times here. */
  readonly lastHeardAt: number | null
  readonly lastHandshakeAt: number | null
  /** Null until the device has described itself. */
  readonly functions: readonly string[] | null
  /** Name to type: 'bool', 'int32', 'double' or 'string' (cloud-api.md 3.1). */
  readonly variables: Readonly<Record<string, string>> | null
  readonly describe: SystemDescribe | null
  /** Module version of the system part that applications build on, out of `describe`. */
  readonly systemVersion: number | null
  readonly status: 'normal' | 'safe_mode'
  /** What the device says of itself (`System.enableUpdates`). */
  readonly updatesEnabled: boolean
  /** The owner's word that overrides it. */
  readonly updatesForced: boolean
  readonly createdAt: number
}

/** A record that nobody has claimed and that has not connected yet. */
export function newDevice(id: string, createdAt: number): DeviceRecord {
  return {
    id,
    name: null,
    ownerId: null,
    platformId: null,
    productId: null,
    productVersion: null,
    memberOf: null,
    applicationVersion: null,
    serialNumber: null,
    pinnedBuildTarget: null,
    notes: null,
    publicKey: null,
    keyAlgorithm: null,
    provisionedBy: null,
    lastIp: null,
    lastHeardAt: null,
    lastHandshakeAt: null,
    functions: null,
    variables: null,
    describe: null,
    systemVersion: null,
    status: 'normal',
    updatesEnabled: true,
    updatesForced: false,
    createdAt,
  }
}

/**
 * The module version of the Device OS that the device's applications build on: the last of its system parts, on which
 * user parts depend (modules-and-platforms.md 3).
 */
export function systemVersionOf(describe: SystemDescribe | null): number | null {
  let last: { index: number; version: number } | undefined
  for (const module of describe?.modules ?? []) {
    if (module.function !== 'system_part' || module.store !== 'main') continue
    if (!last || module.index > last.index) last = module
  }
  return last?.version ?? null
}

/**
 * The version of its product's firmware that a device runs; null when that cannot be told.
 *
 * What it reports, when that is about the product: firmware for Device OS 4 and newer says its platform in the product's
 * place (modules-and-platforms.md 1.3). An application that says no version is known by its hash.
 */
export function firmwareVersionOf(device: DeviceRecord): number | null {
  const { memberOf, productId, platformId, productVersion, applicationVersion } = device
  if (memberOf === null) return productVersion
  const said = productVersion !== null && productVersion !== 0 && productVersion !== 0xffff
  if (said && (productId === memberOf || productId === platformId)) return productVersion
  return applicationVersion
}

export function deviceFromRow(row: Selectable<DeviceTable>): DeviceRecord {
  const describe = parse<SystemDescribe>(row.describe)
  return {
    id: row.id,
    name: row.name,
    ownerId: row.owner_id,
    platformId: row.platform_id,
    productId: row.product_id,
    productVersion: row.product_version,
    memberOf: null,
    applicationVersion: null,
    serialNumber: row.serial_number,
    pinnedBuildTarget: row.pinned_build_target,
    notes: row.notes,
    publicKey: row.public_key,
    keyAlgorithm: row.key_algorithm,
    provisionedBy: row.provisioned_by,
    lastIp: row.last_ip,
    lastHeardAt: row.last_heard_at,
    lastHandshakeAt: row.last_handshake_at,
    functions: parse<string[]>(row.functions),
    variables: parse<Record<string, string>>(row.variables),
    describe,
    systemVersion: systemVersionOf(describe),
    status: row.status,
    updatesEnabled: row.updates_enabled === 1,
    updatesForced: row.updates_forced === 1,
    createdAt: row.created_at,
  }
}

export function deviceToRow(device: DeviceRecord, now: number): Insertable<DeviceTable> {
  return {
    id: device.id,
    name: device.name,
    name_key: device.name === null ? null : nameKey(device.name),
    owner_id: device.ownerId,
    notes: device.notes,
    serial_number: device.serialNumber,
    pinned_build_target: device.pinnedBuildTarget,
    public_key: device.publicKey,
    key_algorithm: device.keyAlgorithm,
    provisioned_by: device.provisionedBy,
    updates_forced: device.updatesForced ? 1 : 0,
    created_at: device.createdAt,
    updated_at: now,
    ...telemetryToRow(device),
  }
}

/** The columns that come from the device itself: they are written in batches. */
export function telemetryToRow(device: DeviceRecord) {
  return {
    platform_id: device.platformId,
    product_id: device.productId,
    product_version: device.productVersion,
    last_ip: device.lastIp,
    last_heard_at: device.lastHeardAt,
    last_handshake_at: device.lastHandshakeAt,
    functions: text(device.functions),
    variables: text(device.variables),
    describe: text(device.describe),
    status: device.status,
    updates_enabled: device.updatesEnabled ? 1 : 0,
  }
}

/** Names are compared without case. */
export function nameKey(name: string): string {
  return name.toLowerCase()
}

/** Device ids are compared without case (cloud-api.md 0.4). */
export function deviceId(text: string): string | undefined {
  return /^[0-9a-f]{24}$/i.test(text) ? text.toLowerCase() : undefined
}

function parse<T>(json: string | null): T | null {
  return json === null ? null : (JSON.parse(json) as T)
}

function text(value: unknown): string | null {
  return value === null ? null : JSON.stringify(value)
}
