/**
 * The devices that the cloud knows: durable in the store, with a copy in memory that answers every question.
 *
 * What an owner changes is committed before it is answered, one change at a time, and the copy changes after the commit.
 * What a device tells of itself changes the copy at once and goes to the store in batches.
 */
import { randomInt } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { SystemDescribe } from '@aloe/firmware'
import type { Updateable } from 'kysely'
import { type Clock, systemClock, type TimerHandle } from '../clock.ts'
import type { DeviceTable } from '../store/schema.ts'
import type { Store } from '../store/store.ts'
import {
  type DeviceRecord,
  deviceFromRow,
  deviceId,
  deviceToRow,
  nameKey,
  newDevice,
  systemVersionOf,
  telemetryToRow,
} from './device.ts'
import { DeviceError } from './device-error.ts'
import { type DevicePublicKey, readPublicKey } from './keys.ts'
import { type RecordedRefusal, type Refusal, Refusals } from './refusals.ts'

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

/** Rows in one transaction of telemetry: SQLite blocks this thread while it writes them, for some milliseconds. */
const batchSize = 200
const claimCodeLength = 63
const claimCodeAlphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
const claimCodeLifetime = 24 * 60 * 60 * 1_000
const nameLimit = 64
const notesLimit = 4_096
/** Words that stand in a device's place in paths (cloud-api.md 0.5). */
const reservedNames = new Set(['events', 'mine'])

export class DeviceRegistry {
  readonly #store: Store
  readonly #now: () => number
  readonly #options: RegistryOptions
  readonly #clock: Clock
  readonly #devices = new Map<string, DeviceRecord>()
  readonly #owned = new Map<string, Set<string>>()
  readonly #names = new Map<string, string>()
  readonly #refusals = new Refusals()
  /** Devices whose telemetry is not in the store yet. */
  readonly #told = new Set<string>()
  /** Devices of which only the time when they were last heard is not. */
  readonly #heard = new Set<string>()
  #toldTimer: TimerHandle | undefined
  #heardTimer: TimerHandle | undefined
  #changes: Promise<unknown> = Promise.resolve()

  private constructor(options: RegistryOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#store = options.store
    this.#now = options.now
  }

  /** Reads all devices into memory. */
  static async open(options: RegistryOptions): Promise<DeviceRegistry> {
    const registry = new DeviceRegistry(options)
    const rows = await options.store.db.selectFrom('devices').selectAll().execute()
    for (const row of rows) registry.#put(deviceFromRow(row))
    return registry
  }

  /** @param id 24 lower-case hex characters */
  get(id: string): DeviceRecord | undefined {
    return this.#devices.get(id)
  }

  /** An owner's device by id (in any case) or by name; undefined when it is unknown or not theirs. */
  find(idOrName: string, ownerId: string): DeviceRecord | undefined {
    const id = deviceId(idOrName) ?? this.#names.get(nameIndex(ownerId, idOrName))
    const device = id === undefined ? undefined : this.#devices.get(id)
    return device?.ownerId === ownerId ? device : undefined
  }

  /** An owner's devices, the last connected first. */
  list(ownerId: string): DeviceRecord[] {
    const devices = [...(this.#owned.get(ownerId) ?? [])].map((id) => this.#known(id))
    return devices.sort((a, b) => (b.lastHandshakeAt ?? 0) - (a.lastHandshakeAt ?? 0) || (a.id < b.id ? -1 : 1))
  }

  /** Which product the device is an approved member of: `products/product-devices.ts` says so, nobody else. */
  setProduct(id: string, productId: number | null): void {
    const device = this.#devices.get(id)
    if (device) this.#devices.set(id, { ...device, memberOf: productId })
  }

  all(): IterableIterator<DeviceRecord> {
    return this.#devices.values()
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
      return this.#save({ ...device, ownerId })
    })
  }

  /** Makes the device nobody's: what its owner wrote about it goes, its key stays. */
  unclaim(id: string, ownerId: string): Promise<DeviceRecord> {
    return this.#change(() => {
      const device = this.#ownedBy(id, ownerId)
      return this.#save({ ...device, ownerId: null, name: null, notes: null, updatesForced: false })
    })
  }

  /** @throws DeviceError 'bad-name' or 'name-taken' */
  rename(id: string, ownerId: string, name: string): Promise<DeviceRecord> {
    return this.#change(() => {
      const device = this.#ownedBy(id, ownerId)
      const trimmed = name.trim()
      checkName(trimmed)
      const other = this.#names.get(nameIndex(ownerId, trimmed))
      if (other !== undefined && other !== device.id) {
        throw new DeviceError('name-taken', 'You have another device with this name')
      }
      return this.#save({ ...device, name: trimmed })
    })
  }

  /** @throws DeviceError 'bad-name' when the notes are longer than 4096 characters */
  setNotes(id: string, ownerId: string, notes: string | null): Promise<DeviceRecord> {
    return this.#change(() => {
      if (notes !== null && notes.length > notesLimit) throw new DeviceError('bad-name', 'The notes are too long')
      return this.#save({ ...this.#ownedBy(id, ownerId), notes })
    })
  }

  setUpdatesForced(id: string, ownerId: string, on: boolean): Promise<DeviceRecord> {
    return this.#change(() => this.#save({ ...this.#ownedBy(id, ownerId), updatesForced: on }))
  }

  /** A code with which a device that sends it becomes the user's; good for a day and for one device. */
  async createClaimCode(userId: string): Promise<string> {
    let code = ''
    for (let i = 0; i < claimCodeLength; i++) code += claimCodeAlphabet[randomInt(claimCodeAlphabet.length)]
    const now = this.#now()
    await this.#store.db.deleteFrom('claim_codes').where('expires_at', '<=', now).execute()
    await this.#store.db
      .insertInto('claim_codes')
      .values({
        code,
        user_id: userId,
        device_id: null,
        product_id: null,
        created_at: now,
        expires_at: now + claimCodeLifetime,
      })
      .execute()
    return code
  }

  /**
   * The claim code that a device sent. A device may send it again until it has heard that it may forget it.
   * @returns the user whose device it is now; undefined when the code is unknown, used up or expired, or the device
   *   belongs to somebody else
   */
  claimByCode(id: string, code: string): Promise<string | undefined> {
    return this.#change(async () => {
      const device = this.#devices.get(deviceId(id) ?? '')
      const row = await this.#store.db
        .selectFrom('claim_codes')
        .selectAll()
        .where('code', '=', code.slice(0, claimCodeLength + 1))
        .executeTakeFirst()
      if (!device || !row || row.expires_at <= this.#now()) return undefined
      if (row.device_id !== null && row.device_id !== device.id) return undefined
      if (device.ownerId === row.user_id) return device.ownerId
      if (device.ownerId !== null || row.device_id !== null) return undefined

      const claimed = { ...device, ownerId: row.user_id }
      await this.#store.db.transaction().execute(async (tx) => {
        await tx.updateTable('claim_codes').set({ device_id: device.id }).where('code', '=', row.code).execute()
        await tx.updateTable('devices').set({ owner_id: row.user_id }).where('id', '=', device.id).execute()
      })
      this.#put({ ...this.#known(device.id), ownerId: claimed.ownerId })
      return claimed.ownerId
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
    this.#markHeard(id)
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
  async flush(): Promise<void> {
    await this.#flushTold()
    await this.#flushHeard()
  }

  /** The same for these devices, and without the times at which they were heard. */
  async flushOf(ids: readonly string[]): Promise<void> {
    const told = new Set(ids.filter((id) => this.#told.delete(id)))
    if (told.size > 0) await this.#flushSet(told, telemetryToRow, (id) => this.#markTold(id))
  }

  async close(): Promise<void> {
    await this.flush()
    this.#clock.clearTimeout(this.#toldTimer)
    this.#clock.clearTimeout(this.#heardTimer)
  }

  #flushTold(): Promise<void> {
    this.#clock.clearTimeout(this.#toldTimer)
    this.#toldTimer = undefined
    return this.#flushSet(this.#told, telemetryToRow, (id) => this.#markTold(id))
  }

  #flushHeard(): Promise<void> {
    this.#clock.clearTimeout(this.#heardTimer)
    this.#heardTimer = undefined
    const time = (device: DeviceRecord) => ({ last_heard_at: device.lastHeardAt })
    return this.#flushSet(this.#heard, time, (id) => this.#markHeard(id))
  }

  async #flushSet(
    ids: Set<string>,
    columns: (device: DeviceRecord) => Updateable<DeviceTable>,
    again: (id: string) => void,
  ): Promise<void> {
    const all = [...ids]
    ids.clear()
    for (let at = 0; at < all.length; at += batchSize) {
      if (at > 0) await nextTurn()
      try {
        await this.#change(() => this.#writeBatch(all.slice(at, at + batchSize), columns))
      } catch (error) {
        for (const id of all.slice(at)) again(id)
        throw error
      }
    }
  }

  async #writeBatch(ids: readonly string[], columns: (device: DeviceRecord) => Updateable<DeviceTable>): Promise<void> {
    await this.#store.db.transaction().execute(async (tx) => {
      for (const id of ids)
        await tx
          .updateTable('devices')
          .set(columns(this.#known(id)))
          .where('id', '=', id)
          .execute()
    })
  }

  /** One change after the other, so that what was checked still holds when it is written. */
  #change<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#changes.then(work)
    this.#changes = result.catch(() => undefined)
    return result
  }

  async #save(device: DeviceRecord): Promise<DeviceRecord> {
    const row = deviceToRow(device, this.#now())
    const { id: _, created_at: __, ...changed } = row
    await this.#store.db
      .insertInto('devices')
      .values(row)
      .onConflict((conflict) => conflict.column('id').doUpdateSet(changed))
      .execute()
    // The device may have told something while the commit was under way.
    const told = this.#devices.get(device.id)
    const saved = told ? { ...told, ...owned(device), platformId: told.platformId ?? device.platformId } : device
    this.#put(saved)
    return saved
  }

  #put(device: DeviceRecord): void {
    const before = this.#devices.get(device.id)
    if (before && (before.ownerId !== device.ownerId || before.name !== device.name)) this.#unindex(before)
    this.#devices.set(device.id, device)
    if (device.ownerId === null) return
    const ids = this.#owned.get(device.ownerId) ?? new Set()
    this.#owned.set(device.ownerId, ids.add(device.id))
    if (device.name !== null) this.#names.set(nameIndex(device.ownerId, device.name), device.id)
  }

  #unindex({ id, ownerId, name }: DeviceRecord): void {
    if (ownerId === null) return
    const ids = this.#owned.get(ownerId)
    ids?.delete(id)
    if (ids?.size === 0) this.#owned.delete(ownerId)
    if (name !== null) this.#names.delete(nameIndex(ownerId, name))
  }

  #tell(id: string, change: (device: DeviceRecord) => DeviceRecord): void {
    const device = this.#devices.get(id)
    if (!device) return
    const changed = change(device)
    if (changed === device) return
    this.#devices.set(id, changed)
    this.#markTold(id)
  }

  #markTold(id: string): void {
    this.#told.add(id)
    this.#toldTimer ??= this.#clock.setTimeout(() => {
      this.#flushTold().catch(this.#options.onError)
    }, this.#options.batchAfter ?? 5_000)
  }

  #markHeard(id: string): void {
    this.#heard.add(id)
    this.#heardTimer ??= this.#clock.setTimeout(() => {
      this.#flushHeard().catch(this.#options.onError)
    }, this.#options.heardBatchAfter ?? 60_000)
  }

  #known(id: string): DeviceRecord {
    const device = this.#devices.get(id)
    if (!device) throw new DeviceError('unknown-device', `Device ${id} is not in the registry`)
    return device
  }

  #ownedBy(id: string, ownerId: string): DeviceRecord {
    const device = this.#devices.get(deviceId(id) ?? '')
    if (device?.ownerId !== ownerId) throw new DeviceError('not-yours', 'The device is unknown or not yours')
    return device
  }
}

/** The part of a record that owners change; the rest comes from the device. */
function owned(device: DeviceRecord) {
  const { name, ownerId, notes, publicKey, keyAlgorithm, provisionedBy, updatesForced } = device
  return { name, ownerId, notes, publicKey, keyAlgorithm, provisionedBy, updatesForced }
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

function nameIndex(ownerId: string, name: string): string {
  return `${ownerId}/${nameKey(name)}`
}
