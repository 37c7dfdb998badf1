/** Updates of a device, as the cloud's API has them (docs/updates.md). */
import type { PlanDocument } from '@aloe/firmware'
import { CliError } from './cli-error.ts'
import { type CloudClient, cloudError } from './cloud-client.ts'

export interface Cost {
  readonly modules: number
  readonly bytes: number
  readonly resets: number
  readonly seconds: number
}

export interface UpdateModule {
  readonly function: string
  readonly index: number
  readonly version: number
  readonly name?: string
  readonly label?: string
}

export interface UpdateJob {
  readonly id: string
  readonly device_id: string
  readonly kind: string
  readonly state: string
  readonly target: string | null
  readonly product_version: number | null
  readonly module: UpdateModule | null
  readonly progress: { readonly bytes: number; readonly total: number } | null
  readonly plan: readonly UpdateModule[]
  readonly sent: readonly UpdateModule[]
  readonly estimate: Cost | null
  readonly bytes: number
  readonly resets: number
  readonly wait: { readonly cause: string; readonly reason: string; readonly until: string | null } | null
  readonly reason: string | null
  readonly next: string | null
  readonly created_at: string
  readonly finished_at: string | null
}

export interface TimelineEntry {
  readonly at: string
  readonly what: string
  readonly [detail: string]: unknown
}

export interface Preview {
  readonly plan: PlanDocument
  readonly cost: Cost | null
  readonly held: { readonly cause: string; readonly reason: string; readonly until: string | null } | null
  readonly metered: boolean
  readonly online: boolean
}

export interface MonthlyData {
  readonly month: string
  readonly devices: number
  readonly ota: { readonly total: number; readonly estimated: number }
  readonly messages: { readonly total: number }
}

export interface UpdateOrder {
  readonly target?: string
  readonly downgrade?: boolean
  readonly force?: boolean
  /** Name and content. */
  readonly file?: readonly [string, Buffer]
}

/** States in which a job is over. */
export const overStates: readonly string[] = ['done', 'failed', 'cancelled', 'superseded']

/** @param product slug or id; undefined for one's own devices */
export class UpdateClient {
  readonly #client: CloudClient
  readonly #path: string
  readonly #device: string

  constructor(client: CloudClient, device: string, product?: string) {
    const of = product === undefined ? '' : `/products/${encodeURIComponent(product)}`
    this.#client = client
    this.#device = device
    this.#path = `/v1${of}/devices/${encodeURIComponent(device)}/aloe`
  }

  async jobs(): Promise<{ active: string | null; jobs: UpdateJob[] }> {
    return (await this.#ask('get', '/updates', 'read the updates of')) as { active: string | null; jobs: UpdateJob[] }
  }

  /** @param id or `active` */
  async job(id: string): Promise<{ job: UpdateJob; timeline: TimelineEntry[] }> {
    const body = await this.#ask('get', `/updates/${encodeURIComponent(id)}`, 'read the update of')
    return body as { job: UpdateJob; timeline: TimelineEntry[] }
  }

  async preview(order: UpdateOrder): Promise<Preview> {
    return (await this.#send('/updates/preview', order, 'preview the update of')) as Preview
  }

  async start(order: UpdateOrder): Promise<UpdateJob> {
    return ((await this.#send('/updates', order, 'update')) as { job: UpdateJob }).job
  }

  async cancel(id: string): Promise<UpdateJob> {
    const body = await this.#ask('delete', `/updates/${encodeURIComponent(id)}`, 'stop the update of')
    return (body as { job: UpdateJob }).job
  }

  async data(): Promise<{ metered: boolean; device_data_budget: number | null; months: MonthlyData[] }> {
    const body = await this.#ask('get', '/data', 'read the data of')
    return body as { metered: boolean; device_data_budget: number | null; months: MonthlyData[] }
  }

  #send(path: string, { file, target, downgrade, force }: UpdateOrder, what: string): Promise<unknown> {
    if (!file) return this.#ask('post', path, what, { data: { target, downgrade, force } })
    const [name, content] = file
    const form = {
      ...(target !== undefined && { target }),
      ...(downgrade && { downgrade: 'true' }),
      ...(force && { force: 'true' }),
    }
    return this.#ask('post', path, what, { files: { [name]: content }, form })
  }

  async #ask(method: 'get' | 'post' | 'delete', path: string, what: string, more: object = {}): Promise<unknown> {
    return await askCloud(this.#client, method, this.#path + path, `${what} ${this.#device}`, more)
  }
}

/** A policy's place: of a device, a group or a product. */
export function policyPath(of: { device?: string; product?: string; group?: string }): string {
  const { device, product, group } = of
  const inProduct = product === undefined ? '' : `/products/${encodeURIComponent(product)}`
  if (device !== undefined) return `/v1${inProduct}/devices/${encodeURIComponent(device)}/aloe/update-policy`
  if (product === undefined) throw new CliError('Say whose policy: a device, or --product.', { code: 2 })
  if (group === undefined) return `/v1${inProduct}/aloe/update-policy`
  return `/v1${inProduct}/groups/${encodeURIComponent(group)}/aloe/update-policy`
}

/** @throws CliError */
export async function askCloud(
  client: CloudClient,
  method: 'get' | 'post' | 'put' | 'delete',
  uri: string,
  what: string,
  more: object = {},
): Promise<unknown> {
  try {
    const answer: unknown = await client.particle.request({
      uri,
      method,
      ...more,
      ...(client.token !== undefined && { auth: client.token }),
    })
    return (answer as { readonly body?: unknown }).body
  } catch (error) {
    throw cloudError(error, client, what)
  }
}
