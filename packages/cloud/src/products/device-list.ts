/** Finding devices of a product: what a list asks for, page by page (cloud-api.md 1.3). */
import { type DeviceRecord, firmwareVersionOf } from '../devices/device.ts'
import type { DeviceRegistry } from '../devices/registry.ts'
import type { ProductDevices } from './product-devices.ts'

export const sortAttributes = ['deviceName', 'deviceId', 'firmwareVersion', 'lastConnection'] as const
export type SortAttribute = (typeof sortAttributes)[number]

export interface DeviceListQuery {
  /** Parts of it, in any case; as the next ones. */
  readonly deviceId?: string
  readonly deviceName?: string
  readonly serialNumber?: string
  /** Devices of any of these. */
  readonly groups?: readonly string[]
  /** True: those in quarantine alone. False: without them. */
  readonly quarantined?: boolean
  readonly sortAttr?: SortAttribute
  readonly descending?: boolean
  /** From 1. */
  readonly page: number
  readonly perPage: number
}

export interface DeviceListPage {
  readonly devices: readonly DeviceRecord[]
  readonly total: number
  readonly totalPages: number
}

/** Devices whose firmware reports the product without being imported, the denied among them. */
export function quarantinedDevices(
  productId: number,
  registry: Pick<DeviceRegistry, 'get' | 'reporting'>,
): DeviceRecord[] {
  const found: DeviceRecord[] = []
  for (const id of registry.reporting(productId)) {
    const device = registry.get(id)
    if (device && device.memberOf === null) found.push(device)
  }
  return found
}

/** Without a wish for an order: members as they were imported, then the quarantined ones. */
export function listDevices(
  productId: number,
  query: DeviceListQuery,
  { registry, devices }: { registry: Pick<DeviceRegistry, 'get' | 'reporting'>; devices: ProductDevices },
): DeviceListPage {
  const found: DeviceRecord[] = []
  const accept = filterOf(query)
  if (query.quarantined !== true) {
    for (const id of candidates(productId, query.groups, devices)) {
      const device = registry.get(id)
      if (device && accept(device)) found.push(device)
    }
  }
  // A device in quarantine has no groups.
  if (query.quarantined !== false && query.groups === undefined) {
    for (const device of quarantinedDevices(productId, registry)) if (accept(device)) found.push(device)
  }
  const { page, perPage } = query
  const sorted = query.sortAttr === undefined ? found : sort(found, query.sortAttr)
  if (query.descending === true) sorted.reverse()
  return {
    devices: sorted.slice((page - 1) * perPage, page * perPage),
    total: found.length,
    totalPages: Math.ceil(found.length / perPage),
  }
}

function candidates(
  productId: number,
  groups: readonly string[] | undefined,
  devices: ProductDevices,
): Iterable<string> {
  if (groups === undefined) return devices.members(productId)
  const ids = new Set<string>()
  for (const group of groups) for (const id of devices.inGroup(productId, group)) ids.add(id)
  return ids
}

function filterOf({ deviceId, deviceName, serialNumber }: DeviceListQuery): (device: DeviceRecord) => boolean {
  const tests: ((device: DeviceRecord) => boolean)[] = []
  const contains = (part: string | undefined, of: (device: DeviceRecord) => string | null) => {
    if (part === undefined || part === '') return
    const wanted = part.toLowerCase()
    tests.push((device) => of(device)?.toLowerCase().includes(wanted) ?? false)
  }
  contains(deviceId, ({ id }) => id)
  contains(deviceName, ({ name }) => name)
  contains(serialNumber, (device) => device.serialNumber)
  return (device) => tests.every((test) => test(device))
}

/** Devices without the attribute come last in ascending order; equal ones in the order of their ids. */
function sort(devices: readonly DeviceRecord[], attribute: SortAttribute): DeviceRecord[] {
  const keyed = devices.map((device) => ({ device, key: keyOf(device, attribute) }))
  keyed.sort((a, b) => compare(a.key, b.key) || compare(a.device.id, b.device.id))
  return keyed.map(({ device }) => device)
}

function keyOf(device: DeviceRecord, attribute: SortAttribute): string | number | null {
  switch (attribute) {
    case 'deviceName':
      return device.name?.toLowerCase() ?? null
    case 'deviceId':
      return device.id
    case 'firmwareVersion':
      return firmwareVersionOf(device)
    case 'lastConnection':
      return device.lastHandshakeAt
  }
}

function compare(a: string | number | null, b: string | number | null): number {
  if (a === b) return 0
  if (a === null) return 1
  if (b === null) return -1
  return a < b ? -1 : 1
}
