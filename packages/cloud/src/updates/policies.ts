/** Update policies of devices, groups and products: durable, with a copy in memory. */
import type { Store } from '../store/store.ts'
import { type DevicePolicy, mergePolicies, type UpdatePolicy } from './policy.ts'

/** Where a device belongs, as far as updates depend on it. */
export interface Membership {
  readonly productId: number
  readonly groups: readonly string[]
}

export const scopes = {
  device: (deviceId: string) => `device:${deviceId}`,
  product: (productId: number) => `product:${productId}`,
  group: (productId: number, name: string) => `group:${productId}:${name}`,
}

export interface StoredPolicy {
  readonly policy: UpdatePolicy
  readonly updatedBy: string | null
  readonly updatedAt: number
}

export class Policies {
  readonly #db: Store['db']
  readonly #now: () => number
  readonly #membership: (deviceId: string) => Membership | undefined
  readonly #policies = new Map<string, StoredPolicy>()
  #changed: (() => void) | undefined

  private constructor({ db }: Store, now: () => number, membership: (deviceId: string) => Membership | undefined) {
    this.#db = db
    this.#now = now
    this.#membership = membership
  }

  /** @param now Unix milliseconds */
  static async open(
    store: Store,
    now: () => number,
    membership: (deviceId: string) => Membership | undefined,
  ): Promise<Policies> {
    const policies = new Policies(store, now, membership)
    for (const row of await store.db.selectFrom('update_policies').selectAll().execute()) {
      const policy = JSON.parse(row.policy) as UpdatePolicy
      policies.#policies.set(row.scope, { policy, updatedBy: row.updated_by, updatedAt: row.updated_at })
    }
    return policies
  }

  /** Told after each change. */
  onChange(listener: () => void): void {
    this.#changed = listener
  }

  get(scope: string): StoredPolicy | undefined {
    return this.#policies.get(scope)
  }

  /** Replaces a policy; an empty one is none. */
  async put(scope: string, policy: UpdatePolicy, by: string | null): Promise<void> {
    const updatedAt = this.#now()
    if (Object.keys(policy).length === 0) {
      await this.#db.deleteFrom('update_policies').where('scope', '=', scope).execute()
      this.#policies.delete(scope)
    } else {
      const row = { scope, policy: JSON.stringify(policy), updated_by: by, updated_at: updatedAt }
      const { scope: _, ...change } = row
      await this.#db
        .insertInto('update_policies')
        .values(row)
        .onConflict((conflict) => conflict.column('scope').doUpdateSet(change))
        .execute()
      this.#policies.set(scope, { policy, updatedBy: by, updatedAt })
    }
    this.#changed?.()
  }

  /** What holds for a device. */
  of(deviceId: string): DevicePolicy {
    if (this.#policies.size === 0) return mergePolicies(undefined, [], undefined)
    const [device, groups, product] = this.#sources(deviceId)
    return mergePolicies(device, groups, product)
  }

  /** Where budgets for all devices together hold for this device: `[scope, bytes a month]`. */
  sharedBudgets(deviceId: string): [string, number][] {
    if (this.#policies.size === 0) return []
    return this.#scopesOf(deviceId).flatMap((scope): [string, number][] => {
      const budget = this.#policies.get(scope)?.policy.dataBudget
      return typeof budget === 'number' ? [[scope, budget]] : []
    })
  }

  #sources(deviceId: string): [UpdatePolicy | undefined, UpdatePolicy[], UpdatePolicy | undefined] {
    const member = this.#membership(deviceId)
    const policy = (scope: string) => this.#policies.get(scope)?.policy
    const groups = [...(member?.groups ?? [])].sort()
    return [
      policy(scopes.device(deviceId)),
      groups.flatMap((name) => policy(scopes.group(member?.productId ?? 0, name)) ?? []),
      member && policy(scopes.product(member.productId)),
    ]
  }

  #scopesOf(deviceId: string): string[] {
    const member = this.#membership(deviceId)
    if (!member) return [scopes.device(deviceId)]
    const groups = member.groups.map((name) => scopes.group(member.productId, name))
    return [scopes.device(deviceId), ...groups, scopes.product(member.productId)]
  }
}
