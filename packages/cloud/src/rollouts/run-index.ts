/** The rollouts that are not over, and the one in which each device is on its way or ended. In memory. */
import type { Run, RunDevice } from './run.ts'

export class RunIndex {
  /** By product and version: the newest of a version is the one that counts. */
  readonly #byVersion = new Map<number, Map<number, Run>>()
  readonly #byId = new Map<string, Run>()
  readonly #byDevice = new Map<string, Run>()

  put(run: Run): void {
    const { productId, version } = run.record
    const runs = this.#byVersion.get(productId) ?? new Map<number, Run>()
    const before = runs.get(version)
    if (before) this.#byId.delete(before.id)
    this.#byVersion.set(productId, runs.set(version, run))
    this.#byId.set(run.id, run)
  }

  remove(run: Run): void {
    const runs = this.#byVersion.get(run.record.productId)
    if (runs?.get(run.record.version) === run) runs.delete(run.record.version)
    this.#byId.delete(run.id)
    for (const deviceId of run.devices.keys()) this.unassign(deviceId, run)
  }

  get(id: string): Run | undefined {
    return this.#byId.get(id)
  }

  find(productId: number, version: number): Run | undefined {
    return this.#byVersion.get(productId)?.get(version)
  }

  ofProduct(productId: number): Run[] {
    return [...(this.#byVersion.get(productId)?.values() ?? [])]
  }

  all(): IterableIterator<Run> {
    return this.#byId.values()
  }

  /** The device belongs to this rollout from now on. */
  assign(deviceId: string, run: Run): void {
    this.#byDevice.set(deviceId, run)
  }

  unassign(deviceId: string, run: Run): void {
    if (this.#byDevice.get(deviceId) === run) this.#byDevice.delete(deviceId)
  }

  of(deviceId: string): { readonly run: Run; readonly device: RunDevice } | undefined {
    const run = this.#byDevice.get(deviceId)
    const device = run?.devices.get(deviceId)
    return run && device && { run, device }
  }
}
