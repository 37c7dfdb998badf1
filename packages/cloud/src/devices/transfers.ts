/** Requests for devices of somebody else: the owner decides (cloud-api.md 1.3, `request_transfer`). */
import type { Selectable } from 'kysely'
import { newId } from '../store/id.ts'
import type { Store } from '../store/store.ts'
import type { DeviceTransferTable } from '../store/tables/products.ts'
import { DeviceError } from './device-error.ts'
import type { DeviceRegistry } from './registry.ts'

export interface Transfer {
  readonly id: string
  readonly deviceId: string
  /** Who owned the device when it was asked for. */
  readonly fromUser: string
  /** Who asks for it. */
  readonly toUser: string
  readonly state: 'open' | 'accepted' | 'refused' | 'withdrawn'
  /** Unix milliseconds. */
  readonly createdAt: number
  readonly decidedAt: number | null
}

/** More would only be a nuisance to owners. */
const openPerUser = 100
/** Decided ones are kept for so long. */
const memory = 30 * 24 * 60 * 60 * 1_000

export class Transfers {
  readonly #store: Store
  readonly #registry: Pick<DeviceRegistry, 'get' | 'transfer'>
  readonly #now: () => number

  constructor({ store, registry, now }: { store: Store; registry: DeviceRegistry; now: () => number }) {
    this.#store = store
    this.#registry = registry
    this.#now = now
  }

  /** What users ask of this one, and what this one asks of others; the newest first. */
  async list(userId: string): Promise<Transfer[]> {
    const query = this.#store.db.selectFrom('device_transfers').selectAll()
    const rows = query.where((where) => where.or([where('from_user', '=', userId), where('to_user', '=', userId)]))
    const found = await rows.orderBy('created_at', 'desc').orderBy('id').limit(1_000).execute()
    return found.map(fromRow)
  }

  /** Also for those who have no part in it: the caller looks who may see it. */
  async get(id: string): Promise<Transfer | undefined> {
    const row = this.#store.db.selectFrom('device_transfers').selectAll().where('id', '=', id)
    const found = await row.executeTakeFirst()
    return found && fromRow(found)
  }

  /**
   * Asks for a device that somebody else owns. Asking again changes nothing.
   * @throws DeviceError 'unknown-device', or 'too-many' open requests
   */
  async request(deviceId: string, toUser: string): Promise<{ readonly transfer: Transfer; readonly isNew: boolean }> {
    const device = this.#registry.get(deviceId)
    if (!device || device.ownerId === null || device.ownerId === toUser) {
      throw new DeviceError('unknown-device', 'There is no device of somebody else with this id')
    }
    const now = this.#now()
    const { db } = this.#store
    await db
      .deleteFrom('device_transfers')
      .where('decided_at', '<', now - memory)
      .execute()
    const open = await db
      .selectFrom('device_transfers')
      .selectAll()
      .where('to_user', '=', toUser)
      .where('state', '=', 'open')
      .execute()
    const same = open.find((row) => row.device_id === deviceId && row.from_user === device.ownerId)
    if (same) return { transfer: fromRow(same), isNew: false }
    if (open.length >= openPerUser) {
      throw new DeviceError('too-many', `You have ${openPerUser} open requests: withdraw some of them first`)
    }
    const fields = { id: newId(), device_id: deviceId, from_user: device.ownerId, to_user: toUser }
    const row = { ...fields, state: 'open' as const, created_at: now, decided_at: null }
    await db.insertInto('device_transfers').values(row).execute()
    return { transfer: fromRow(row), isNew: true }
  }

  /** The owner gives the device away. @throws DeviceError when it has another owner meanwhile, or was decided */
  async accept(transfer: Transfer): Promise<Transfer> {
    await this.#decide(transfer, 'accepted')
    try {
      await this.#registry.transfer(transfer.deviceId, transfer.fromUser, transfer.toUser)
    } catch (error) {
      // The device is not theirs to give any more.
      await this.#set(transfer.id, 'withdrawn')
      throw error
    }
    return { ...transfer, state: 'accepted', decidedAt: this.#now() }
  }

  /** By the owner ('refused'), or by who asked ('withdrawn'). @throws DeviceError when it was decided */
  async close(transfer: Transfer, state: 'refused' | 'withdrawn'): Promise<Transfer> {
    await this.#decide(transfer, state)
    return { ...transfer, state, decidedAt: this.#now() }
  }

  /** Of two decisions at the same time the first counts. */
  async #decide({ id }: Transfer, state: Transfer['state']): Promise<void> {
    const update = this.#store.db.updateTable('device_transfers').set({ state, decided_at: this.#now() })
    const { numUpdatedRows } = await update.where('id', '=', id).where('state', '=', 'open').executeTakeFirst()
    if (numUpdatedRows === 0n) throw new DeviceError('decided', 'The request has been decided already')
  }

  #set(id: string, state: Transfer['state']): Promise<unknown> {
    return this.#store.db.updateTable('device_transfers').set({ state }).where('id', '=', id).execute()
  }
}

function fromRow(row: Selectable<DeviceTransferTable>): Transfer {
  return {
    id: row.id,
    deviceId: row.device_id,
    fromUser: row.from_user,
    toUser: row.to_user,
    state: row.state,
    createdAt: row.created_at,
    decidedAt: row.decided_at,
  }
}
