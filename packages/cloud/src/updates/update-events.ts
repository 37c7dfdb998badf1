/**
 * What the world hears of updates: the events of cloud-api.md 3.3 as Particle's cloud publishes them, and Aloe's own,
 * with JSON data, for whoever wants to watch (docs/updates.md).
 */
import type { ModuleDependency } from '@aloe/firmware'
import type { Bus } from '../bus/bus.ts'
import type { DeviceRegistry } from '../devices/registry.ts'
import { aboutDevice } from '../gateway/device-event.ts'
import { labelOf, type SentModule, type UpdateJob } from './job.ts'

/** `coreid` of what the cloud says by itself (cloud-api.md 3.2). */
const cloud = 'particle-internal'

/** No more than this many progress events of one transfer, in milliseconds between them. */
const progressEvery = 250

export class UpdateEvents {
  readonly #bus: Bus
  readonly #registry: Pick<DeviceRegistry, 'get'>
  readonly #now: () => number

  /** @param now Unix milliseconds */
  constructor(bus: Bus, registry: Pick<DeviceRegistry, 'get'>, now: () => number) {
    this.#bus = bus
    this.#registry = registry
    this.#now = now
  }

  /** The trailing space is as the real cloud sends it (cloud-api.md 3.3). */
  flashStatus(deviceId: string, status: 'started' | 'success' | 'failed'): void {
    this.#publish(deviceId, 'spark/flash/status', `${status} `)
  }

  /** Product firmware is about to be sent (cloud-api.md 3.3). */
  autoUpdate(deviceId: string): void {
    this.#publish(deviceId, 'spark/status', 'auto-update')
  }

  /** The healer is about to send a module. */
  updating(deviceId: string, module: SentModule): void {
    this.#publish(deviceId, 'spark/safe-mode-updater/updating', String(module.index), cloud)
  }

  pending(deviceId: string, on: boolean): void {
    this.#publish(deviceId, 'particle/device/updates/pending', String(on), cloud)
  }

  planned(job: UpdateJob, missing: readonly ModuleDependency[]): void {
    const plan = (job.detail.plan ?? []).map(named)
    this.#json(job, 'aloe/healer/planned', { job: job.id, missing: missing.map(named), plan })
  }

  healed(job: UpdateJob): void {
    const { id, detail, createdAt } = job
    const duration = this.#now() - createdAt
    this.#json(job, 'aloe/healer/healed', { job: id, sent: detail.sent.map(named), duration })
  }

  stopped(job: UpdateJob, missing: readonly ModuleDependency[]): void {
    const { reason, code, sent } = job.detail
    const told = { job: job.id, reason, code, missing: missing.map(named), sent: sent.map(named) }
    this.#json(job, 'aloe/healer/stopped', told)
  }

  /** A step of a job's timeline, as `aloe/update/<what>`. */
  step(job: Pick<UpdateJob, 'id' | 'deviceId' | 'kind'>, what: string, detail: object): void {
    this.#json(job, `aloe/update/${what}`, { job: job.id, kind: job.kind, ...detail })
  }

  /** Every attempt is interrupted, and the cloud gives it up. @param resumable the device keeps what has arrived */
  loop(job: UpdateJob, resumable: boolean): void {
    const { module, interruptions, reached = 0, total, reason } = job.detail
    const told = { job: job.id, kind: job.kind, module: module && named(module), interruptions, resumable }
    this.#json(job, 'aloe/update/loop', { ...told, bytes: reached, total, reason })
  }

  /** A reporter of one transfer's progress: the first and the last always, those between at most every 250 ms. */
  progressOf(job: UpdateJob): (bytes: number, total: number) => void {
    let last = Number.NEGATIVE_INFINITY
    return (bytes, total) => {
      const now = this.#now()
      if (bytes < total && now - last < progressEvery) return
      last = now
      const { module, plan = [], sent } = job.detail
      this.#json(job, 'aloe/update/progress', {
        job: job.id,
        kind: job.kind,
        module: module && named(module),
        bytes,
        total,
        sent: sent.length,
        plan: plan.map(named),
      })
    }
  }

  #json(job: Pick<UpdateJob, 'deviceId'>, name: string, data: object): void {
    this.#publish(job.deviceId, name, JSON.stringify(data), cloud)
  }

  #publish(deviceId: string, name: string, data: string, coreid?: string): void {
    const device = this.#registry.get(deviceId)
    if (device) this.#bus.publish(aboutDevice(device, name, data, this.#now(), coreid))
  }
}

/** A module in events: `{"function":"system_part","index":1,"version":2000,"label":"system_part 1@2000"}`. */
export function named(module: SentModule) {
  const { function: name, index, version, release, name: asset } = module
  return {
    function: name,
    index,
    version,
    ...(release !== undefined && { release }),
    ...(asset !== undefined && { name: asset }),
    label: labelOf(module),
  }
}
