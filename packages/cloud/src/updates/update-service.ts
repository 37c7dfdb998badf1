/** What the rest of the cloud can ask of the updates, as types. */
import type { AssetFile } from '@aloe/firmware'
import type { Logger } from 'pino'
import type { Bus } from '../bus/bus.ts'
import type { Clock } from '../clock.ts'
import type { DeviceRegistry } from '../devices/registry.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { Store } from '../store/store.ts'
import type { Catalogue } from './catalogue.ts'
import type { DataUsage } from './data-usage.ts'
import type { FlashResult } from './failure.ts'
import type { JobDetail, JobKind, JobState } from './job.ts'
import type { UpdateLimits } from './job-runner.ts'
import type { Membership, Policies } from './policies.ts'
import type { Preview, PreviewRequest } from './preview.ts'
import type { TimelineEntry } from './timeline.ts'

/** A job as its owner may see it. */
export interface UpdateJobView {
  readonly id: string
  readonly deviceId: string
  readonly kind: JobKind
  readonly state: JobState
  readonly requestedBy: string | null
  readonly detail: JobDetail
  /** Of the transfer that runs; only on the job that is under way. */
  readonly progress?: { readonly bytes: number; readonly total: number }
  /** Unix milliseconds. */
  readonly createdAt: number
  readonly updatedAt: number
  readonly finishedAt: number | null
}

/** Product firmware for a device. */
export interface Delivery {
  /** A module file, or a bundle (.zip) of an application and its assets. */
  readonly file: Uint8Array
  /** Why: shown in the job. */
  readonly reason: 'release' | 'lock' | (string & {})
  readonly productVersion?: number
  /** Unix milliseconds before which it is not sent, so that a large fleet does not arrive at once. */
  readonly notBefore?: number
  readonly requestedBy?: string
}

export interface DeviceOsOrder {
  /** Semantic version of the release, or `latest`. */
  readonly target: string
  /** User id. */
  readonly by: string
  /** Whatever the policy says. */
  readonly force?: boolean
}

export interface DowngradeOrder extends DeviceOsOrder {
  /** An application for the older Device OS, which goes first. */
  readonly file?: Uint8Array
}

export interface FlashOptions {
  /** Whatever the policy says. */
  readonly force?: boolean
}

export interface Updates {
  readonly policies: Policies
  readonly data: DataUsage
  /**
   * Sends a file, or the application of a bundle and then its assets, to the device. Resolves once the device has taken
   * the start (or refused it); from then on the update is durable, and events tell of its progress.
   *
   * Status 400: the file or the device refuses; 408: offline, or no answer; 409: another flash is under way, or the
   * policy holds it.
   * @param by user id
   */
  flash(deviceId: string, file: Uint8Array, by: string, options?: FlashOptions): Promise<FlashResult>
  /** True when a flash may succeed: the device is online, or comes back in a moment. */
  reachable(deviceId: string): boolean
  /**
   * Queues product firmware; an older delivery that is not done is superseded. It is sent when the device is there and
   * nothing holds it.
   *
   * @throws UpdateRefusal 404 unknown device, 400 a file that it cannot take
   */
  deliver(deviceId: string, delivery: Delivery): Promise<UpdateJobView>
  /** Says in the timeline of a delivery that is done, and as an event, that its application runs and lacks nothing. */
  running(job: Pick<UpdateJobView, 'id' | 'deviceId' | 'kind'>, detail: object): void
  /** Brings the device to a Device OS release. @throws UpdateRefusal */
  update(deviceId: string, order: DeviceOsOrder): Promise<UpdateJobView>
  /**
   * Takes the device back to an older Device OS; nothing is healed before it is done.
   *
   * @throws UpdateRefusal with the reason where it would be orphaned
   */
  downgrade(deviceId: string, order: DowngradeOrder): Promise<UpdateJobView>
  /** Ends a job. @returns the job as it is then; undefined when there is none, or it is over. */
  cancel(jobId: string): Promise<UpdateJobView | undefined>
  /** What an update would take. @throws UpdateRefusal 404 when the device has not said what it has */
  preview(deviceId: string, request: PreviewRequest & { readonly file?: Uint8Array }): Preview
  /** A device's jobs, newest first. */
  jobs(deviceId: string): Promise<UpdateJobView[]>
  job(jobId: string): Promise<UpdateJobView | undefined>
  timeline(jobId: string): Promise<TimelineEntry[]>
  /** The job that is under way in an online device, the owner's before the healer's. */
  active(deviceId: string): UpdateJobView | undefined
  /** Told each time that a job is new or has changed. @returns a function that ends it */
  onJob(listener: (job: UpdateJobView) => void): () => void
  /** Keeps assets for devices whose applications need them. */
  keepAssets(assets: readonly AssetFile[]): Promise<void>
  /** Ends after `gateway.close()`; what is under way goes on after the next start. */
  close(): Promise<void>
}

export interface UpdatesOptions {
  readonly store: Store
  readonly registry: Pick<DeviceRegistry, 'get' | 'all'>
  readonly gateway: Gateway
  readonly catalogue: Catalogue
  readonly bus: Bus
  readonly log: Logger
  readonly clock?: Clock
  readonly limits?: Partial<UpdateLimits>
  /** Transfers at a time. */
  readonly slots?: number
  /** Which product and groups a device belongs to. */
  readonly membership?: (deviceId: string) => Membership | undefined
}
