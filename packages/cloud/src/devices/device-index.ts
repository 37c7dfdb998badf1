/** The devices in memory, with what finds them: by id, owner, name, reported product, serial number, IMEI and ICCID. */
import { type DeviceRecord, deviceId, nameKey } from './device.ts'

const none: ReadonlySet<string> = new Set()

export class DeviceIndex {
  readonly #devices = new Map<string, DeviceRecord>()
  readonly #owned = new Map<string, Set<string>>()
  readonly #names = new Map<string, string>()
  /** By the product that devices report. */
  readonly #reporting = new Map<number, Set<string>>()
  /** By serial number, IMEI and ICCID, lower case. */
  readonly #identifiers = new Map<string, string>()

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
    return this.#devices.get(key) ?? this.#devices.get(this.#identifiers.get(key) ?? '')
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
    if (before?.serialNumber !== device.serialNumber || before?.describe !== device.describe) {
      this.#putIdentifiers(before, device)
    }
  }

  #putIdentifiers(before: DeviceRecord | undefined, device: DeviceRecord): void {
    const now = identifiers(device)
    for (const old of before ? identifiers(before) : []) {
      if (!now.includes(old) && this.#identifiers.get(old) === device.id) this.#identifiers.delete(old)
    }
    for (const identifier of now) this.#identifiers.set(identifier, device.id)
  }

  #unindexOwner({ id, ownerId, name }: DeviceRecord): void {
    if (ownerId === null) return
    drop(this.#owned, ownerId, id)
    if (name !== null) this.#names.delete(nameIndex(ownerId, name))
  }
}

function identifiers({ serialNumber, describe }: DeviceRecord): string[] {
  const known = [serialNumber, describe?.imei, describe?.iccid]
  return known.flatMap((identifier) => (identifier ? [identifier.toLowerCase()] : []))
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
