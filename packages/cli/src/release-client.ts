/** Products and their releases, as the cloud's API has them (docs/releases.md). */
import type { CloudClient } from './cloud-client.ts'
import { askCloud } from './update-client.ts'

export interface Product {
  readonly id: number
  readonly name: string
  readonly slug: string
  readonly platform_id: number
  readonly description?: string
}

export interface ReleasePreview {
  readonly version: number
  readonly devices: number
  readonly when: Readonly<Record<string, number>>
  readonly held: readonly { readonly reason: string; readonly devices: number }[]
  readonly ways: readonly {
    readonly devices: number
    readonly version: number | null
    readonly platform: string | null
    readonly device_os: string | null
    readonly system_version: number | null
    readonly known: boolean
    readonly steps: readonly { readonly label: string; readonly release: string | null }[]
    readonly modules: number
    readonly bytes: number
    readonly resets: number
    readonly seconds: number
  }[]
  readonly total: { readonly modules: number; readonly bytes: number; readonly resets: number }
  readonly seconds: number
  readonly excluded: readonly { readonly why: string; readonly reason: string; readonly devices: number }[]
  readonly warnings: readonly string[]
}

export interface Rollout {
  readonly id: string
  readonly version: number
  readonly state: string
  readonly complete: boolean
  readonly reason: string | null
  readonly product_default: boolean
  readonly groups: readonly string[]
  readonly intelligent: boolean
  readonly created_at: string
  readonly devices: Readonly<Record<string, number>>
}

export interface RolloutDevice {
  readonly id: string
  readonly state: string
  readonly attempts: number
  readonly reason: string | null
  readonly next: string | null
}

export interface ReleaseOrder {
  readonly version: number
  readonly product_default?: boolean
  readonly groups?: readonly string[]
  readonly intelligent?: boolean
}

export class ReleaseClient {
  readonly #client: CloudClient
  readonly #product: string

  /** @param product slug or id */
  constructor(client: CloudClient, product: string) {
    this.#client = client
    this.#product = product
  }

  async preview(order: ReleaseOrder): Promise<ReleasePreview> {
    return (await this.#ask('post', '/aloe/preview', 'preview the release', order)) as ReleasePreview
  }

  async release(order: ReleaseOrder): Promise<unknown> {
    return await this.#ask('put', '/firmware/release', `release version ${order.version}`, order)
  }

  async rollouts(): Promise<Rollout[]> {
    const answer = await this.#ask('get', '/aloe/rollouts', 'list the releases')
    return (answer as { rollouts: Rollout[] }).rollouts
  }

  async rollout(id: string): Promise<Rollout> {
    const answer = await this.#ask('get', `/aloe/rollouts/${id}`, 'look at the release')
    return (answer as { rollout: Rollout }).rollout
  }

  /** The first of the devices in this state, and how many there are. */
  async devices(id: string, state?: string): Promise<{ devices: RolloutDevice[]; meta: { total: number } }> {
    const query = state === undefined ? {} : { query: { state } }
    const answer = await this.#ask('get', `/aloe/rollouts/${id}/devices`, 'list the devices', undefined, query)
    return answer as { devices: RolloutDevice[]; meta: { total: number } }
  }

  async steer(
    id: string,
    what: 'pause' | 'resume' | 'stop' | 'retry',
  ): Promise<{ rollout: Rollout; retried?: number }> {
    const answer = await this.#ask('post', `/aloe/rollouts/${id}/${what}`, `${what} the release`)
    return answer as { rollout: Rollout; retried?: number }
  }

  #ask(method: 'get' | 'post' | 'put', path: string, what: string, data?: object, more: object = {}): Promise<unknown> {
    const uri = `/v1/products/${encodeURIComponent(this.#product)}${path}`
    return askCloud(this.#client, method, uri, what, { ...(data && { data }), ...more })
  }
}
