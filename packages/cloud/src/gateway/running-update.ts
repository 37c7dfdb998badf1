/** One transfer to a device, as promises: joins the session's callbacks with what the updates wait for. */
import type { SenderHandlers } from '@aloe/protocol'
import type { RunningUpdate, UpdateOptions, UpdateOutcome } from './gateway.ts'

type Failure = Extract<UpdateOutcome, { ok: false }>
type Accepted = Awaited<RunningUpdate['accepted']>

/** Everything a transfer needs of the connection that carries it. */
export interface Carrier {
  /** True once the connection has ended: what fails then was not decided by the device. */
  readonly gone: () => boolean
  readonly ended: () => void
}

/**
 * @param start begins the transfer with these handlers and answers how to give it up
 */
export function runUpdate(
  options: UpdateOptions,
  carrier: Carrier,
  start: (handlers: SenderHandlers) => { cancel(): boolean },
): RunningUpdate {
  const accepted = Promise.withResolvers<Accepted>()
  const outcome = Promise.withResolvers<UpdateOutcome>()
  const handle = start({
    accepted: (offset) => accepted.resolve({ ok: true, offset }),
    progress: (bytes, total) => options.progress?.(bytes, total),
    done: (result) => {
      carrier.ended()
      if (result.ok) {
        outcome.resolve({ ok: true })
        return
      }
      const { stage, code, message } = result
      const failure: Failure = { ok: false, stage, code, message, interrupted: carrier.gone() }
      accepted.resolve(failure)
      outcome.resolve(failure)
    },
  })
  return { accepted: accepted.promise, outcome: outcome.promise, cancel: () => handle.cancel() }
}
