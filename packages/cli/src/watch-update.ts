/** Watches one update until it is over, by its events, with the job itself asked now and then. */
import { CliError, exitCode } from './cli-error.ts'
import type { EventQueue, StreamEvent } from './event-stream.ts'
import type { Output } from './output.ts'
import { overStates, type UpdateClient, type UpdateJob } from './update-client.ts'
import { detailText, stateText } from './update-text.ts'

/** An event may be lost; the job's state is not. */
const askEvery = 5_000

/**
 * @param events opened before the update was started
 * @param deadline Unix milliseconds
 * @throws CliError when it failed or took too long
 */
export async function watchUpdate(
  updates: UpdateClient,
  id: string,
  events: EventQueue,
  output: Output,
  deadline: number,
): Promise<UpdateJob> {
  let told = ''
  for (;;) {
    const left = deadline - Date.now()
    if (left <= 0) {
      throw new CliError('The update did not end in time.', {
        code: exitCode.noAnswer,
        hint: 'It goes on in the cloud: aloe update status DEVICE',
      })
    }
    const event = await events.next(Math.min(askEvery, left))
    if (event) show(event, id, output)
    const ends = event === undefined || /^aloe\/update\/(done|failed|cancelled|superseded)$/.test(event.name)
    if (!ends) continue
    const { job } = await updates.job(id)
    if (overStates.includes(job.state)) {
      output.endProgress()
      if (job.state === 'done') return job
      throw failure(job)
    }
    const state = stateText(job, output.colors)
    if (job.state === 'waiting' && state !== told) output.note(state)
    told = state
  }
}

function show(event: StreamEvent, id: string, output: Output): void {
  const what = /^aloe\/update\/(\w+)$/.exec(event.name)?.[1]
  const detail = what === undefined ? undefined : readData(event.data)
  if (!what || detail?.job !== id) return
  if (what === 'progress') {
    output.progress(`sending ${detailText({ module: detail.module })}`, Number(detail.bytes), Number(detail.total))
    return
  }
  if (what === 'finished') output.endProgress()
  output.note(`${output.colors.dim(what.padEnd(9))} ${detailText(detail)}`)
}

function failure({ state, reason, next }: UpdateJob): CliError {
  if (state === 'failed') {
    return new CliError(`The update failed: ${reason ?? 'nobody knows why'}`, { ...(next !== null && { hint: next }) })
  }
  const what = state === 'cancelled' ? 'The update was stopped.' : 'Another update took its place.'
  return new CliError(what, { code: exitCode.failed })
}

function readData(data: string | null): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(data ?? '')
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}
