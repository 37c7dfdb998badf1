/** The devices in memory, with what finds them: by id, owner, name, reported product, serial number, IMEI and ICCID. */
import { type DeviceRecord, deviceId, nameKey } from './device.ts'

const none: ReadonlySet<string> = new Set()

export class DeviceIndex {
  readonly #devices = new Map<string, DeviceRecord>()
  readonly #owned = new Map<string, Set<string>>()
  readonly #names = new Map<string, string>()
  /** By the product that devices report. */
  readonly #reporting = new Map<number, Set<string>>()
  /** Lower case, and apart from the next: what devices say of themselves hides no serial number. */
  readonly #serialNumbers = new Map<string, string>()
  /** By IMEI and ICCID. */
  readonly #modems = new Map<string, string>()

  get size(): number {
    return this.#devices.size
  }

  get(id: string): DeviceRecord | undefined {
    return this.#devices.get(id)
  }

  all(): IterableIterator<DeviceRecord> {
    return this.#devices.values()
  }

  /** An owner's device by id (in any case) or by name. */
  find(idOrName: string, ownerId: string): DeviceRecord | undefined {
    const id = deviceId(idOrName) ?? this.named(ownerId, idOrName)
    const device = id === undefined ? undefined : this.#devices.get(id)
    return device?.ownerId === ownerId ? device : undefined
  }

  /** The id of the owner's device with this name. */
  named(ownerId: string, name: string): string | undefined {
    return this.#names.get(nameIndex(ownerId, name))
  }

  owned(ownerId: string): ReadonlySet<string> {
    return this.#owned.get(ownerId) ?? none
  }

  reporting(productId: number): ReadonlySet<string> {
    return this.#reporting.get(productId) ?? none
  }

  /** By id, serial number, IMEI or ICCID, in any case. */
  identified(identifier: string): DeviceRecord | undefined {
    const key = identifier.trim().toLowerCase()
    return this.#devices.get(key) ?? this.serialNumbered(key) ?? this.#devices.get(this.#modems.get(key) ?? '')
  }

  serialNumbered(serialNumber: string): DeviceRecord | undefined {
    return this.#devices.get(this.#serialNumbers.get(serialNumber.trim().toLowerCase()) ?? '')
  }

  /** Also for every message of a device that tells something: what did not change costs nothing. */
  put(device: DeviceRecord): void {
    const { id, ownerId, name, productId } = device
    const before = this.#devices.get(id)
    this.#devices.set(id, device)
    if (before?.ownerId !== ownerId || before?.name !== name) {
      if (before) this.#unindexOwner(before)
      if (ownerId !== null) {
        add(this.#owned, ownerId, id)
        if (name !== null) this.#names.set(nameIndex(ownerId, name), id)
      }
    }
    if (before?.productId !== productId) {
      drop(this.#reporting, before?.productId, id)
      if (productId !== null) add(this.#reporting, productId, id)
    }
    if (before?.serialNumber !== device.serialNumber) {
      reindex(this.#serialNumbers, [before?.serialNumber], [device.serialNumber], id)
    }
    if (before?.describe !== device.describe) reindex(this.#modems, modemOf(before), modemOf(device), id)
  }

  #unindexOwner({ id, ownerId, name }: DeviceRecord): void {
    if (ownerId === null) return
    drop(this.#owned, ownerId, id)
    if (name !== null) this.#names.delete(nameIndex(ownerId, name))
  }
}

function modemOf(device: DeviceRecord | undefined): (string | undefined)[] {
  return [device?.describe?.imei, device?.describe?.iccid]
}

type Keys = readonly (string | null | undefined)[]

function reindex(index: Map<string, string>, before: Keys, after: Keys, id: string): void {
  for (const old of before) {
    const key = old?.toLowerCase() ?? ''
    if (index.get(key) === id) index.delete(key)
  }
  for (const key of after) if (key) index.set(key.toLowerCase(), id)
}

function nameIndex(ownerId: string, name: string): string {
  return `${ownerId}/${nameKey(name)}`
}

function add<K>(index: Map<K, Set<string>>, key: K, id: string): void {
  const ids = index.get(key)
  if (ids) ids.add(id)
  else index.set(key, new Set([id]))
}

function drop<K>(index: Map<K, Set<string>>, key: K | null | undefined, id: string): void {
  if (key === null || key === undefined) return
  const ids = index.get(key)
  ids?.delete(id)
  if (ids?.size === 0) index.delete(key)
}
