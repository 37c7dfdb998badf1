/**
 * The devices that the cloud knows: durable in the store, with a copy in memory that answers every question.
 *
 * What an owner changes is committed before it is answered, one change at a time, and the copy changes after the commit.
 * What a device tells of itself changes the copy at once and goes to the store in batches.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { SystemDescribe } from '@aloe/firmware'
import { type Clock, systemClock } from '../clock.ts'
import type { Store } from '../store/store.ts'
import { createClaimCode, revokeClaimCodes, usableClaimCode } from './claim-codes.ts'
import {
  type DeviceRecord,
  deviceFromRow,
  deviceId,
  deviceToRow,
  nameKey,
  newDevice,
  systemVersionOf,
} from './device.ts'
import { DeviceError } from './device-error.ts'
import { DeviceIndex } from './device-index.ts'
import { type DevicePublicKey, readPublicKey } from './keys.ts'
import { type RecordedRefusal, type Refusal, Refusals } from './refusals.ts'
import { batchSize, TelemetryBatches } from './telemetry-batches.ts'

export interface RegistryOptions {
  readonly store: Store
  /** Unix milliseconds. */
  readonly now: () => number
  /** A batch of telemetry that could not be written; it is tried again. */
  readonly onError: (error: unknown) => void
  /** For the log. */
  readonly onRefusal?: (refusal: RecordedRefusal) => void
  /** How long telemetry may wait for its batch, in milliseconds. */
  readonly batchAfter?: number
  /** How long last-heard times may wait for theirs: every message changes one. */
  readonly heardBatchAfter?: number
  /** For the batches' timers; the machine's unless given. */
  readonly clock?: Clock
}

/** Who changes something: a user, with an administrator's rights or not. */
export interface Actor {
  readonly id: string
  readonly administrator: boolean
}

export interface Connection {
  readonly address?: string
  readonly platformId?: number
  readonly productId?: number
  readonly productVersion?: number
  /** There was no handshake: the device went on with an earlier session. */
  readonly resumed?: boolean
}

export interface Description {
  readonly system?: SystemDescribe
  readonly functions?: readonly string[]
  readonly variables?: Readonly<Record<string, string>>
}

/** Whether a device may become a user's by a code for a product's devices. */
export type ProductClaim = (deviceId: string, userId: string, productId: number) => Promise<boolean>

const nameLimit = 64
const notesLimit = 4_096
const serialNumberLimit = 64
/** Words that stand in a device's place in paths (cloud-api.md 0.5). */
const reservedNames = new Set(['events', 'mine'])

export class DeviceRegistry {
  readonly #store: Store
  readonly #now: () => number
  readonly #options: RegistryOptions
  readonly #devices = new DeviceIndex()
  readonly #refusals = new Refusals()
  readonly #telemetry: TelemetryBatches
  #productClaim: ProductClaim = async () => false
  #changes: Promise<unknown> = Promise.resolve()

  private constructor(options: RegistryOptions) {
    const { store, now, onError, clock = systemClock, batchAfter = 5_000, heardBatchAfter = 60_000 } = options
    this.#options = options
    this.#store = store
    this.#now = now
    this.#telemetry = new TelemetryBatches({
      store,
      clock,
      onError,
      batchAfter,
      heardBatchAfter,
      device: (id) => this.#known(id),
      change: (work) => this.#change(work),
    })
  }

  /** Reads all devices into memory. */
  static async open(options: RegistryOptions): Promise<DeviceRegistry> {
    const registry = new DeviceRegistry(options)
    const rows = await options.store.db.selectFrom('devices').selectAll().execute()
    for (const row of rows) registry.#devices.put(deviceFromRow(row))
    return registry
  }

  /** @param id 24 lower-case hex characters */
  get(id: string): DeviceRecord | undefined {
    return this.#devices.get(id)
  }

  /** An owner's device by id (in any case) or by name; undefined when it is unknown or not theirs. */
  find(idOrName: string, ownerId: string): DeviceRecord | undefined {
    return this.#devices.find(idOrName, ownerId)
  }

  /** Anybody's device by id, serial number, IMEI or ICCID, in any case. */
  identified(identifier: string): DeviceRecord | undefined {
    return this.#devices.identified(identifier)
  }

  serialNumbered(serialNumber: string): DeviceRecord | undefined {
    return this.#devices.serialNumbered(serialNumber)
  }

  /** Ids of the devices whose firmware says that it is of this product. */
  reporting(productId: number): ReadonlySet<string> {
    return this.#devices.reporting(productId)
  }

  /** An owner's devices, the last connected first. */
  list(ownerId: string): DeviceRecord[] {
    const devices = [...this.#devices.owned(ownerId)].map((id) => this.#known(id))
    return devices.sort((a, b) => (b.lastHandshakeAt ?? 0) - (a.lastHandshakeAt ?? 0) || (a.id < b.id ? -1 : 1))
  }

  /** Which product the device is an approved member of: `products/product-devices.ts` says so, nobody else. */
  setProduct(id: string, productId: number | null): void {
    const device = this.#devices.get(id)
    if (device) this.#devices.put({ ...device, memberOf: productId, applicationVersion: null })
  }

  /** Which version of its product's firmware the installed application is: `products/product-watch.ts` says so. */
  setApplicationVersion(id: string, applicationVersion: number | null): void {
    const device = this.#devices.get(id)
    if (device) this.#devices.put({ ...device, applicationVersion })
  }

  all(): IterableIterator<DeviceRecord> {
    return this.#devices.all()
  }

  get size(): number {
    return this.#devices.size
  }

  // --- What owners change: answered after the commit.

  /**
   * Registers the public key with which the device will be let in; makes the device known when it was not.
   *
   * Allowed to its owner, to an administrator, and for a device without owner to whoever registered it before.
   * @throws DeviceError 'bad-id', 'bad-key' or 'not-yours'
   */
  async provision(id: string, publicKey: DevicePublicKey | string | Uint8Array, by: Actor, platformId?: number) {
    const key = asKey(publicKey)
    return this.#change(async () => {
      const known = this.#devices.get(requireId(id))
      if (known && !mayProvision(known, by)) {
        throw new DeviceError('not-yours', 'The device has a key that somebody else registered')
      }
      const device = known ?? newDevice(requireId(id), this.#now())
      return this.#save({
        ...device,
        publicKey: key.spki,
        keyAlgorithm: key.algorithm,
        provisionedBy: by.id,
        platformId: device.platformId ?? platformId ?? null,
      })
    })
  }

  /**
   * Takes in a device that came with a key nobody registered (open enrolment). A key that is registered stays: only its
   * owner may change it.
   * @throws DeviceError 'bad-id', 'bad-key', or 'not-yours' when another key is registered
   */
  async enrol(id: string, publicKey: DevicePublicKey | string | Uint8Array): Promise<DeviceRecord> {
    const key = asKey(publicKey)
    return this.#change(async () => {
      const device = this.#devices.get(requireId(id)) ?? newDevice(requireId(id), this.#now())
      if (device.publicKey === key.spki) return device
      if (device.publicKey !== null) throw new DeviceError('not-yours', 'Another key is registered for the device')
      return this.#save({ ...device, publicKey: key.spki, keyAlgorithm: key.algorithm })
    })
  }

  /**
   * Makes devices known that have not been here yet, many at a time. They have no key: it must be provisioned, or taken
   * from the first who comes where enrolment is open.
   * @param ids 24 hex characters each
   * @returns the records, also of those that were known
   */
  makeKnown(ids: readonly string[]): Promise<DeviceRecord[]> {
    return this.#inBatches(ids.map(requireId), (id) => {
      return this.#devices.get(id) ? undefined : newDevice(id, this.#now())
    })
  }

  /** Gives devices that nobody owns to a user, many at a time; those of others stay theirs. */
  claimUnowned(ids: readonly string[], ownerId: string): Promise<DeviceRecord[]> {
    return this.#inBatches(ids, (id) => {
      const device = this.#devices.get(id)
      return device && device.ownerId === null ? this.#claimed(device, ownerId) : undefined
    })
  }

  /** @throws DeviceError 'unknown-device' or 'belongs-to-someone-else' */
  claim(id: string, ownerId: string): Promise<DeviceRecord> {
    return this.#change(async () => {
      const device = this.#devices.get(deviceId(id) ?? '')
      if (!device) throw new DeviceError('unknown-device', 'No device with this id is known to this cloud')
      if (device.ownerId === ownerId) return device
      if (device.ownerId !== null) {
        // The CLI looks for these words (cloud-api.md 1.3).
        throw new DeviceError(
          'belongs-to-someone-else',
          'That belongs to someone else. Its owner must remove it first.',
        )
      }
      return this.#save(this.#claimed(device, ownerId))
    })
  }

  /** From one user to another, with its notes; its name too, unless the other has a device of that name. */
  transfer(id: string, fromId: string, toId: string): Promise<DeviceRecord> {
    return this.#change(() => this.#save(this.#claimed(this.#ownedBy(id, fromId), toId)))
  }

  /**
   * Makes the device nobody's: what its owner wrote about it goes, its key stays. A product's device keeps what the
   * product says about it.
   */
  unclaim(id: string, ownerId: string): Promise<DeviceRecord> {
    return this.#change(() => {
      const device = this.#ownedBy(id, ownerId)
      if (device.memberOf !== null) return this.#save({ ...device, ownerId: null })
      return this.#save({ ...device, ownerId: null, name: null, notes: null, updatesForced: false })
    })
  }

  // `ownerId` is who owns the device as the caller believes it, null for nobody: what changed meanwhile is refused.

  /** @throws DeviceError 'bad-name' or 'name-taken' */
  rename(id: string, ownerId: string | null, name: string): Promise<DeviceRecord> {
    return this.#change(() => {
      const device = this.#ownedBy(id, ownerId)
      const trimmed = name.trim()
      checkName(trimmed)
      const other = ownerId === null ? undefined : this.#devices.named(ownerId, trimmed)
      if (other !== undefined && other !== device.id) {
        throw new DeviceError('name-taken', 'You have another device with this name')
      }
      return this.#save({ ...device, name: trimmed })
    })
  }

  /** @throws DeviceError 'bad-name' when the notes are longer than 4096 characters */
  setNotes(id: string, ownerId: string | null, notes: string | null): Promise<DeviceRecord> {
    return this.#change(() => {
      if (notes !== null && notes.length > notesLimit) throw new DeviceError('bad-name', 'The notes are too long')
      return this.#save({ ...this.#ownedBy(id, ownerId), notes })
    })
  }

  setUpdatesForced(id: string, ownerId: string | null, on: boolean): Promise<DeviceRecord> {
    return this.#change(() => this.#save({ ...this.#ownedBy(id, ownerId), updatesForced: on }))
  }

  /** The Device OS version that the device's applications are compiled for; null for the one that it runs. */
  setPinnedBuildTarget(id: string, ownerId: string | null, pinnedBuildTarget: string | null): Promise<DeviceRecord> {
    return this.#change(() => this.#save({ ...this.#ownedBy(id, ownerId), pinnedBuildTarget }))
  }

  /** @throws DeviceError 'bad-serial-number', also for that of another device */
  setSerialNumber(id: string, serialNumber: string): Promise<DeviceRecord> {
    return this.#change(async () => {
      const device = this.#known(id)
      const trimmed = serialNumber.trim()
      if (device.serialNumber === trimmed) return device
      if (!/^[\x21-\x7e]+$/.test(trimmed) || trimmed.length > serialNumberLimit || deviceId(trimmed) !== undefined) {
        const rule = `1 to ${serialNumberLimit} printable characters, and not the form of a device id`
        throw new DeviceError('bad-serial-number', `A serial number has ${rule}`)
      }
      const other = this.#devices.serialNumbered(trimmed)
      if (other && other.id !== id) {
        throw new DeviceError('bad-serial-number', `The serial number ${trimmed} is that of another device`)
      }
      return this.#save({ ...device, serialNumber: trimmed })
    })
  }

  /** @param productId the product for whose devices alone the code is */
  createClaimCode(userId: string, productId: number | null = null): Promise<string> {
    return createClaimCode(this.#store, userId, productId, this.#now())
  }

  /** Ends a user's claim codes for a product's devices: they have left its team. */
  revokeClaimCodes(userId: string, productId: number): Promise<void> {
    return this.#change(() => revokeClaimCodes(this.#store, userId, productId))
  }

  /** Who is asked whether a device may be claimed with a code for a product's devices. */
  onProductClaim(decide: ProductClaim): void {
    this.#productClaim = decide
  }

  /**
   * The claim code that a device sent. A device may send it again until it has heard that it may forget it.
   * @returns the user whose device it is now; undefined when the code is unknown, used up, expired or for the devices of
   *   another product, or the device belongs to somebody else
   */
  claimByCode(id: string, text: string): Promise<string | undefined> {
    return this.#change(async () => {
      const device = this.#devices.get(deviceId(id) ?? '')
      const code = device && (await usableClaimCode(this.#store, text, device.id, this.#now()))
      if (!code) return undefined
      if (device.ownerId === code.user_id) return device.ownerId
      if (device.ownerId !== null || code.device_id !== null) return undefined
      if (code.product_id !== null && !(await this.#productClaim(device.id, code.user_id, code.product_id))) {
        return undefined
      }
      const claimed = this.#claimed(this.#known(device.id), code.user_id)
      await this.#store.db.transaction().execute(async (tx) => {
        await tx.updateTable('claim_codes').set({ device_id: device.id }).where('code', '=', code.code).execute()
        const owner = { owner_id: claimed.ownerId, name: claimed.name, name_key: claimed.name && nameKey(claimed.name) }
        await tx.updateTable('devices').set(owner).where('id', '=', device.id).execute()
      })
      this.#devices.put({ ...this.#known(device.id), ownerId: claimed.ownerId, name: claimed.name })
      return claimed.ownerId ?? undefined
    })
  }

  // --- What devices tell: in memory at once, in the store with the next batch.

  /** A session has begun. */
  recordConnection(id: string, connection: Connection): void {
    const now = this.#now()
    const { address, platformId, productId, productVersion, resumed = false } = connection
    this.#tell(id, (device) => ({
      ...device,
      lastIp: address ?? device.lastIp,
      platformId: platformId ?? device.platformId,
      productId: productId ?? device.productId,
      productVersion: productVersion ?? device.productVersion,
      lastHeardAt: now,
      lastHandshakeAt: resumed ? device.lastHandshakeAt : now,
    }))
  }

  /** The device has described itself, in full or in part. */
  recordDescribe(id: string, { system, functions, variables }: Description): void {
    this.#tell(id, (device) => ({
      ...device,
      describe: system ?? device.describe,
      systemVersion: system ? (systemVersionOf(system) ?? device.systemVersion) : device.systemVersion,
      platformId: system?.platformId ?? device.platformId,
      functions: functions ?? device.functions,
      variables: variables ?? device.variables,
    }))
  }

  /** Whether the device's application runs, or it waits in safe mode for modules. */
  recordStatus(id: string, status: DeviceRecord['status']): void {
    this.#tell(id, (device) => (device.status === status ? device : { ...device, status }))
  }

  /** What the device says of `System.enableUpdates` and `disableUpdates`. */
  recordUpdatesEnabled(id: string, updatesEnabled: boolean): void {
    this.#tell(id, (device) => (device.updatesEnabled === updatesEnabled ? device : { ...device, updatesEnabled }))
  }

  /** Any message has come from the device. On the hot path of every message: no allocation, no database. */
  heard(id: string): void {
    const device = this.#devices.get(id)
    if (!device) return
    ;(device as { lastHeardAt: number }).lastHeardAt = this.#now()
    this.#telemetry.heard(id)
  }

  /** A device was not let in, or its handshake failed. */
  recordRefusal(refusal: Refusal): void {
    const entry = this.#refusals.record(refusal, this.#now())
    this.#options.onRefusal?.(entry)
  }

  /** Newest first. */
  refusals(accept?: (refusal: RecordedRefusal) => boolean): RecordedRefusal[] {
    return this.#refusals.list(accept)
  }

  /** Writes what devices told and is not in the store yet. */
  flush(): Promise<void> {
    return this.#telemetry.flush()
  }

  /** The same for these devices, and without the times at which they were heard. */
  flushOf(ids: readonly string[]): Promise<void> {
    return this.#telemetry.flushOf(ids)
  }

  close(): Promise<void> {
    return this.#telemetry.close()
  }

  /** One change after the other, so that what was checked still holds when it is written. */
  #change<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#changes.then(work)
    this.#changes = result.catch(() => undefined)
    return result
  }

  async #save(device: DeviceRecord): Promise<DeviceRecord> {
    await this.#write(this.#store.db, device)
    return this.#saved(device)
  }

  async #write(db: Pick<Store['db'], 'insertInto'>, device: DeviceRecord): Promise<void> {
    const row = deviceToRow(device, this.#now())
    const { id: _, created_at: __, ...changed } = row
    await db
      .insertInto('devices')
      .values(row)
      .onConflict((conflict) => conflict.column('id').doUpdateSet(changed))
      .execute()
  }

  /** After the commit: the device may have told something while it was under way. */
  #saved(device: DeviceRecord): DeviceRecord {
    const told = this.#devices.get(device.id)
    const saved = told ? { ...told, ...owned(device), platformId: told.platformId ?? device.platformId } : device
    this.#devices.put(saved)
    return saved
  }

  /** @param change what is to be saved; undefined for a device that stays as it is */
  async #inBatches(ids: readonly string[], change: (id: string) => DeviceRecord | undefined): Promise<DeviceRecord[]> {
    for (let at = 0; at < ids.length; at += batchSize) {
      if (at > 0) await nextTurn()
      await this.#change(async () => {
        const devices = [...new Set(ids.slice(at, at + batchSize))].flatMap((id) => change(id) ?? [])
        if (devices.length === 0) return
        await this.#store.db.transaction().execute(async (tx) => {
          for (const device of devices) await this.#write(tx, device)
        })
        for (const device of devices) this.#saved(device)
      })
    }
    return ids.flatMap((id) => this.#devices.get(id) ?? [])
  }

  /** What a device is in a new owner's hands: names are unique there, so one that is taken goes. */
  #claimed(device: DeviceRecord, ownerId: string): DeviceRecord {
    const taken = device.name !== null && this.#devices.named(ownerId, device.name) !== undefined
    return { ...device, ownerId, name: taken ? null : device.name }
  }

  #tell(id: string, change: (device: DeviceRecord) => DeviceRecord): void {
    const device = this.#devices.get(id)
    if (!device) return
    const changed = change(device)
    if (changed === device) return
    this.#devices.put(changed)
    this.#telemetry.told(id)
  }

  #known(id: string): DeviceRecord {
    const device = this.#devices.get(id)
    if (!device) throw new DeviceError('unknown-device', `Device ${id} is not in the registry`)
    return device
  }

  #ownedBy(id: string, ownerId: string | null): DeviceRecord {
    const device = this.#devices.get(deviceId(id) ?? '')
    if (!device || device.ownerId !== ownerId) throw new DeviceError('not-yours', 'The device is unknown or not yours')
    return device
  }
}

/** The part of a record that owners change; the rest comes from the device. */
function owned(device: DeviceRecord) {
  const { name, ownerId, notes, serialNumber, pinnedBuildTarget } = device
  const { publicKey, keyAlgorithm, provisionedBy, updatesForced } = device
  return {
    name,
    ownerId,
    notes,
    serialNumber,
    pinnedBuildTarget,
    publicKey,
    keyAlgorithm,
    provisionedBy,
    updatesForced,
  }
}

function mayProvision(device: DeviceRecord, by: Actor): boolean {
  if (by.administrator || device.ownerId === by.id) return true
  return device.ownerId === null && (device.publicKey === null || device.provisionedBy === by.id)
}

function asKey(publicKey: DevicePublicKey | string | Uint8Array): DevicePublicKey {
  return typeof publicKey === 'string' || publicKey instanceof Uint8Array ? readPublicKey(publicKey) : publicKey
}

function requireId(id: string): string {
  const known = deviceId(id)
  if (known === undefined) throw new DeviceError('bad-id', 'A device id is 24 hexadecimal characters')
  return known
}

function checkName(name: string): void {
  if (name.length === 0 || name.length > nameLimit) {
    throw new DeviceError('bad-name', `A device name has 1 to ${nameLimit} characters`)
  }
  // A control character or a slash could not be typed into a path.
  if (/[\p{Cc}\p{Cs}/\\?#]/u.test(name)) throw new DeviceError('bad-name', 'A device name has no / \\ ? # in it')
  if (deviceId(name) !== undefined) throw new DeviceError('bad-name', 'A device name may not look like a device id')
  if (reservedNames.has(nameKey(name))) throw new DeviceError('bad-name', `A device cannot be called "${name}"`)
}
