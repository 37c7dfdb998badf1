/** Taking devices into a product: one, many, or a list of a file (cloud-api.md 1.3). */
import { type DeviceRecord, deviceId } from '../devices/device.ts'
import type { DeviceRegistry } from '../devices/registry.ts'
import type { ProductRecord } from './product.ts'
import type { ProductDevices } from './product-devices.ts'

/** What became of each identifier, as it was given; Particle's names. */
export interface ImportResult {
  /** New in the product: ids. */
  readonly updatedDeviceIds: readonly string[]
  /** Were in it. */
  readonly existingDeviceIds: readonly string[]
  /** Belong to somebody who has no part in the product, or to another product. */
  readonly nonmemberDeviceIds: readonly string[]
  /** No identifier of a device, or a device of another platform. */
  readonly invalidDeviceIds: readonly string[]
  /** Under device protection, which only its own product lifts: there are none such yet. */
  readonly protectedDeviceIds: readonly string[]
}

export interface Importer {
  readonly registry: Pick<DeviceRegistry, 'identified' | 'makeKnown' | 'setSerialNumber'>
  readonly devices: ProductDevices
  /** Whether a user works on the product, its owner included. */
  readonly inTeam: (product: ProductRecord, userId: string) => boolean
}

export interface ImportEntry {
  /** A device id, a serial number, an IMEI or an ICCID. */
  readonly identifier: string
  /** To be kept for the device. */
  readonly serialNumber?: string
}

/**
 * A list as the CLI sends it: one identifier a line. Aloe also reads a serial number behind the id, after a comma, a
 * semicolon or space.
 */
export function readImportList(text: string): ImportEntry[] {
  const entries: ImportEntry[] = []
  for (const line of text.replace(/^\uFEFF/, '').split(/\r\n|\r|\n/)) {
    const [identifier = '', serialNumber = ''] = line
      .trim()
      .split(/[\s,;]+/)
      .map((word) => word.replace(/^"(.*)"$/, '$1'))
    if (identifier === '') continue
    entries.push({ identifier, ...(serialNumber !== '' && { serialNumber }) })
  }
  return entries
}

/**
 * Ids that were never seen become known devices. Not everybody's devices can be taken: those of nobody, those of the
 * team, and those whose firmware says that they are of this product.
 */
export async function importDevices(
  product: ProductRecord,
  entries: readonly ImportEntry[],
  { registry, devices, inTeam }: Importer,
): Promise<ImportResult> {
  const invalid: string[] = []
  const nonmember: string[] = []
  /** Id to identifier. */
  const accepted = new Map<string, ImportEntry>()
  for (const entry of entries) {
    const known = registry.identified(entry.identifier)
    const id = known?.id ?? deviceId(entry.identifier)
    if (id === undefined || (known && !rightPlatform(known, product))) invalid.push(entry.identifier)
    else if (known && !mayTake(known, product, inTeam)) nonmember.push(entry.identifier)
    else accepted.set(id, entry)
  }
  const ids = [...accepted.keys()]
  await registry.makeKnown(ids)
  for (const [id, { serialNumber }] of accepted) {
    if (serialNumber !== undefined) await registry.setSerialNumber(id, serialNumber)
  }
  const { added, existing, elsewhere } = await devices.import(product.id, ids)
  const given = (id: string): string => accepted.get(id)?.identifier ?? id
  return {
    updatedDeviceIds: added,
    existingDeviceIds: existing,
    nonmemberDeviceIds: [...nonmember, ...elsewhere.map(given)],
    invalidDeviceIds: invalid,
    protectedDeviceIds: [],
  }
}

function rightPlatform({ platformId }: DeviceRecord, product: ProductRecord): boolean {
  return platformId === null || platformId === product.platformId
}

function mayTake(device: DeviceRecord, product: ProductRecord, inTeam: Importer['inTeam']): boolean {
  if (device.memberOf !== null) return device.memberOf === product.id
  if (device.ownerId === null) return true
  return device.productId === product.id || inTeam(product, device.ownerId)
}
