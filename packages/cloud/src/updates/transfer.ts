/** One transfer to a device: waits for its turn, sends, and keeps count. */
import type { Gateway, RunningUpdate, UpdateOutcome } from '../gateway/gateway.ts'
import { gone } from './failure.ts'
import type { UpdateJob } from './job.ts'
import type { Parcel } from './next-step.ts'
import type { TransferSlots } from './transfer-slots.ts'

export interface TransferContext {
  readonly gateway: Pick<Gateway, 'startUpdate'>
  readonly slots: TransferSlots
}

export interface TransferHandlers {
  /** No slot is free: others are sent to. */
  waits(): Promise<void>
  /** The device took the start. @param offset bytes that it has already */
  accepted(offset: number): Promise<void>
  progress(bytes: number, total: number): void
}

export class Transfer {
  readonly job: UpdateJob
  readonly parcel: Parcel
  /** Bytes that have arrived, and where it began. */
  reached = 0
  offset = 0
  cancelled = false
  #update: RunningUpdate | undefined

  constructor(job: UpdateJob, parcel: Parcel) {
    this.job = job
    this.parcel = parcel
  }

  get total(): number {
    return this.parcel.file.length
  }

  /** Gives it up. False when the device cannot be told, and takes the file to its end. */
  cancel(): boolean {
    // Not begun yet: then it is not begun any more.
    this.cancelled = this.#update ? this.#update.cancel() || this.cancelled : true
    return this.cancelled
  }

  async run({ gateway, slots }: TransferContext, handlers: TransferHandlers): Promise<UpdateOutcome> {
    const { job, parcel } = this
    if (!slots.free) await handlers.waits()
    const release = await slots.take(job.kind === 'flash')
    try {
      if (this.cancelled) return { ...gone, cancelled: true }
      const update = gateway.startUpdate(job.deviceId, parcel.file, {
        progress: (bytes, total) => {
          this.reached = bytes
          handlers.progress(bytes, total)
        },
        ...(parcel.moduleFunction !== undefined && { moduleFunction: parcel.moduleFunction }),
        ...(job.detail.discard && { discard: true }),
      })
      if (!update) return gone
      this.#update = update
      const accepted = await update.accepted
      if (accepted.ok) {
        this.offset = accepted.offset
        this.reached = Math.max(this.reached, accepted.offset)
        await handlers.accepted(accepted.offset)
      }
      const outcome = await update.outcome
      return this.cancelled && !outcome.ok ? { ...outcome, cancelled: true } : outcome
    } finally {
      release()
    }
  }
}
