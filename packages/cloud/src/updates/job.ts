/** A piece of update work for one device: it survives a restart of the cloud in every state. */
import { type ModuleRef, moduleLabel } from '@aloe/firmware'

/**
 * `flash`: an owner's file. `downgrade`, `update`: a Device OS that an owner asked for. `release`: product firmware.
 * `heal`: modules and assets that an application needs.
 */
export type JobKind = 'flash' | 'downgrade' | 'update' | 'release' | 'heal'

export type JobState =
  /** To be sent as soon as it is its turn. */
  | 'planned'
  /** It cannot go on at present; `detail.wait` says why. */
  | 'waiting'
  | 'sending'
  /** The device took a file and restarts to install it. */
  | 'resetting'
  /** The device is back; what it has now is being looked at. */
  | 'verifying'
  | 'done'
  /** Given up; `detail.reason` says why and `detail.next` what to do. */
  | 'failed'
  /** Its owner ended it. */
  | 'cancelled'
  /** Another job took its place. */
  | 'superseded'

export type WaitCause =
  | 'offline'
  /** `System.disableUpdates`. */
  | 'updates-disabled'
  /** The owner locked Device OS or application. */
  | 'locked'
  /** Outside the hours in which updates may happen. */
  | 'window'
  | 'data-budget'
  | 'battery'
  | 'consent'
  /** After a failure. */
  | 'backoff'
  /** Others are sent to. */
  | 'slots'
  /** Its turn in a paced release has not come. */
  | 'paced'

export interface Wait {
  readonly cause: WaitCause
  /** In words, for the owner. */
  readonly reason: string
  /** Unix milliseconds of the next look, when it is known. */
  readonly until?: number
}

export interface SentModule extends ModuleRef {
  readonly version: number
  /** Of the Device OS release that it comes from; absent for an owner's file. */
  readonly release?: string
  /** Of an asset. */
  readonly name?: string
}

/** What the device took and has not shown as installed yet. */
export interface Awaited {
  readonly modules: readonly SentModule[]
  /** SHA-256 field of the application among them: a device that shows it has it. */
  readonly hash?: string
  /** SHA-256 of an asset's file. */
  readonly asset?: string
  /** Unix milliseconds. */
  readonly since: number
}

/** What an update takes, before and after. */
export interface JobCost {
  readonly modules: number
  readonly bytes: number
  readonly resets: number
  readonly seconds: number
}

export interface JobDetail {
  /** What is being sent, or was sent last. */
  readonly module?: SentModule
  /** Bytes of the file. */
  readonly total?: number
  /** What is still to be sent, `module` first. */
  readonly plan?: readonly SentModule[]
  /** What the device took, in order. */
  readonly sent: readonly SentModule[]
  /** By label: how often something was refused or did not arrive in its slot. */
  readonly failures: Readonly<Record<string, number>>
  /** How often the transfer of `module` was interrupted since the device last kept more of it. */
  readonly interruptions: number
  /** The furthest offset at which the device resumed it. */
  readonly resumedAt?: number
  /** The most of it that had arrived when an attempt ended, in bytes. */
  readonly reached?: number
  readonly awaited?: Awaited | null
  /** SHA-256 field of an application's file: a device that shows it has the file. */
  readonly hash?: string
  /** Begin at offset 0: what the device kept of the last attempt was of no use. */
  readonly discard?: boolean
  /** Nothing compressed or combined any more: the device did not take it. */
  readonly plain?: boolean
  /** System error of the last failure (modules-and-platforms.md 4.3). */
  readonly code?: number | undefined
  readonly reason?: string | undefined
  /** What the owner can do about it. */
  readonly next?: string
  readonly wait?: Wait | null
  /** What the device's state was when the healer stopped: while it is the same, trying again is of no use. */
  readonly signature?: string
  /** The device has not taken it yet, and nobody was told that it has: a flash that somebody waits for. */
  readonly unaccepted?: boolean
  /** Policies do not hold it. */
  readonly force?: boolean
  /** The Device OS release to go to. */
  readonly target?: string
  /** Of a `release`: why it is sent, and the product firmware's version. */
  readonly why?: string
  readonly productVersion?: number
  /** Unix milliseconds before which it is not sent. */
  readonly notBefore?: number
  /** Failures in a row, for the pause after them; and when it ends, Unix milliseconds. */
  readonly backoffs?: number
  readonly retryAt?: number
  /** The application said yes. */
  readonly consented?: boolean
  readonly estimate?: JobCost
  /** Bytes of files that went out, repeated ones included. */
  readonly bytes?: number
  readonly resets?: number
}

export interface UpdateJob {
  readonly id: string
  readonly deviceId: string
  readonly kind: JobKind
  state: JobState
  /** User id; null for the cloud itself. */
  readonly requestedBy: string | null
  /** SHA-256 of the file that it sends; null when it has none, or not any more. */
  fileHash: string | null
  detail: JobDetail
  /** Unix milliseconds. */
  readonly createdAt: number
  updatedAt: number
  finishedAt: number | null
}

export const freshDetail: JobDetail = { sent: [], failures: {}, interruptions: 0 }

export const openStates = ['planned', 'waiting', 'sending', 'resetting', 'verifying'] as const satisfies JobState[]

const open: ReadonlySet<JobState> = new Set(openStates)

export function isOpen({ state }: Pick<UpdateJob, 'state'>): boolean {
  return open.has(state)
}

/** The owner's word first, the healer last. */
const ranks: Readonly<Record<JobKind, number>> = { flash: 0, downgrade: 1, update: 2, release: 3, heal: 4 }

export function firstOf(jobs: readonly UpdateJob[]): UpdateJob | undefined {
  let first: UpdateJob | undefined
  for (const job of jobs) if (isOpen(job) && (!first || ranks[job.kind] < ranks[first.kind])) first = job
  return first
}

/** What a new job makes needless: two wills about the same thing are not both done. */
export const supersedes: Readonly<Record<JobKind, readonly JobKind[]>> = {
  flash: ['flash'],
  downgrade: ['downgrade', 'update'],
  update: ['downgrade', 'update'],
  release: ['release'],
  heal: ['heal'],
}

/** `system_part 1@2000`, or `asset logo.png`. */
export function labelOf(module: SentModule): string {
  return module.name === undefined ? moduleLabel(module) : `asset ${module.name}`
}
