/**
 * Transfers that break off: which are worth another attempt, and which go round in a loop.
 *
 * A device that resumes (OTA v3) may be interrupted as often as it likes while it keeps more each time: a watchdog that
 * resets it every 15 seconds costs time and nothing else. The chunked transfer of older boards starts from zero each
 * time (device-protocol.md 3.18); if whatever interrupts it does so again and again, it never ends.
 */
import { type JobDetail, labelOf } from './job.ts'

export interface InterruptionLimits {
  /** Interruptions in a row after which a device that resumes has kept nothing more. */
  readonly interruptions: number
  /** Interruptions of a transfer that starts from zero each time. */
  readonly restarts: number
}

/** What is known of earlier attempts; a part of a job's detail. */
export type InterruptionHistory = Pick<JobDetail, 'interruptions' | 'resumedAt' | 'reached' | 'total'>

/** Another module, or none any more: what was counted belongs to the last one. */
export const noInterruptions = { interruptions: 0, resumedAt: 0, reached: 0 } as const

/** The device took the start: more that it kept makes earlier interruptions harmless. */
export function afterStart(history: InterruptionHistory, offset: number): Partial<JobDetail> {
  return offset > (history.resumedAt ?? 0) ? { interruptions: 0, resumedAt: offset } : {}
}

/** @param reached bytes that had arrived when the attempt ended */
export function afterInterruption(history: InterruptionHistory, reached: number): Partial<JobDetail> {
  return { interruptions: history.interruptions + 1, reached: Math.max(reached, history.reached ?? 0) }
}

/** @param resumable the device goes on where it was interrupted */
export function isLoop(history: InterruptionHistory, resumable: boolean, limits: InterruptionLimits): boolean {
  return history.interruptions >= (resumable ? limits.interruptions : limits.restarts)
}

/** Why there is no further attempt, in words for the owner. */
export function loopReason(history: InterruptionHistory, module: JobDetail['module'], resumable: boolean): string {
  const { interruptions, reached = 0, total = 0 } = history
  const what = module ? labelOf(module) : 'the file'
  const share = total > 0 ? `, at most ${Math.floor((100 * reached) / total)} % had arrived` : ''
  const broke = `${what} was interrupted ${interruptions} times in a row${share}`
  if (resumable) return `${broke}: the device keeps nothing more of it`
  return `${broke}: this device cannot resume an update, so that each attempt starts from zero; find out what resets it (a watchdog?) or breaks its connection, and flash it again`
}
