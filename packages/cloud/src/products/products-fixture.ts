/** For tests: the registry and the products on a store in a folder, which can be opened again. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DeviceRegistry } from '../devices/registry.ts'
import { openStore, type Store } from '../store/store.ts'
import { Products } from './products.ts'

export const ann = 'a'.repeat(24)
export const ben = 'b'.repeat(24)

export interface ProductsWorld {
  store: Store
  registry: DeviceRegistry
  products: Products
  /** Unix milliseconds. */
  now: number
  /** Ends without a word, as a process that is killed, and opens the same store again. */
  restart(): Promise<void>
  close(): Promise<void>
}

/** A device id with this number in it. */
export function deviceIdOf(number: number): string {
  return `422b${number.toString(16).padStart(20, '0')}`
}

export async function openProductsWorld(): Promise<ProductsWorld> {
  const dir = await mkdtemp(join(tmpdir(), 'aloe-products-'))
  const world = { now: 1_000 } as ProductsWorld
  const open = async (): Promise<void> => {
    const onError = (error: unknown): never => {
      throw error
    }
    world.store = await openStore(dir)
    world.registry = await DeviceRegistry.open({ store: world.store, now: () => world.now, onError })
    world.products = await Products.open({ store: world.store, registry: world.registry, now: () => world.now })
  }
  await open()
  for (const id of [ann, ben]) {
    const fields = { password_hash: '', account_info: '{}', is_administrator: 0, created_at: 0, updated_at: 0 }
    await world.store.db
      .insertInto('users')
      .values({ id, username: id, ...fields })
      .execute()
  }
  world.restart = async () => {
    await world.store.close()
    await open()
  }
  world.close = async () => {
    await world.registry.close()
    await world.store.close()
    await rm(dir, { recursive: true, force: true })
  }
  return world
}
