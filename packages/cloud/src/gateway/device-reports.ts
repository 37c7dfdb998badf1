/**
 * What devices say of themselves, acted upon: it is recorded, their owners hear of it, and the updates do
 * (device-protocol.md 3.8, 3.16; modules-and-platforms.md 4.6, 5.5).
 */
import type { SystemDescribe } from '@aloe/firmware'
import {
  cloudSystemEvent,
  type Describe,
  type DeviceEvent,
  describeToJson,
  type Millis,
  type VariableType,
  type Vital,
} from '@aloe/protocol'
import type { Logger } from 'pino'
import type { DeviceRecord } from '../devices/device.ts'
import type { DeviceRegistry } from '../devices/registry.ts'
import type { DeviceConnection } from './connection.ts'
import { answerQuestion, newAppHash } from './device-facts.ts'
import type { DeviceObserver } from './gateway.ts'
import { requestTimeouts } from './limits.ts'
import { Shared } from './shared.ts'
import { readSystemEvent } from './system-event.ts'
import { deviceVitals, serviceVitals } from './vitals-json.ts'

export type ReportedRegistry = Pick<
  DeviceRegistry,
  'get' | 'claimByCode' | 'recordDescribe' | 'recordStatus' | 'recordUpdatesEnabled'
>

export interface DeviceReportsContext {
  readonly registry: ReportedRegistry
  readonly log: Logger
  readonly now: () => Millis
  readonly unixMillis: () => number
  readonly publish: (record: DeviceRecord, name: string, data: string | null) => void
  readonly observers: Iterable<DeviceObserver>
  /** The device became somebody's by its claim code, which it may forget now. @param code its first characters */
  readonly claimed: (deviceId: string, code: string) => void
}

/** How many different describes are remembered, for the next device that has the same. */
const sharedDescribes = 256

export class DeviceReports {
  readonly #context: DeviceReportsContext
  readonly #describes = new Shared<SystemDescribe>(sharedDescribes)
  readonly #functions = new Shared<readonly string[]>(sharedDescribes)
  readonly #variables = new Shared<Readonly<Record<string, VariableType>>>(sharedDescribes)

  constructor(context: DeviceReportsContext) {
    this.#context = context
  }

  /** An event with a reserved name. */
  systemEvent(connection: DeviceConnection, record: DeviceRecord, event: DeviceEvent): void {
    const text = Buffer.from(event.data).toString('utf8')
    const meaning = readSystemEvent(event.name, text)
    const { deviceId } = connection
    switch (meaning.kind) {
      case 'safe-mode':
        connection.safeMode = true
        this.#context.registry.recordStatus(deviceId, 'safe_mode')
        this.#announceSafeMode(connection)
        return
      case 'claim':
        this.#claim(connection, meaning.code)
        return
      case 'updates-flag':
        this.#updatesFlag(connection, record, meaning.flag, meaning.on)
        return
      case 'question':
        connection.session?.publishSystem(
          event.name,
          answerQuestion(meaning.about, record, connection.address),
          this.#context.now(),
        )
        return
      case 'shown':
        this.#context.publish(record, event.name, text)
        return
      case 'noted':
        this.#context.log.debug({ deviceId, event: event.name, data: text.slice(0, 200) }, 'system event of a device')
    }
  }

  /** Says why the device is in safe mode, as soon as both the fact and the describe are known, once a session. */
  #announceSafeMode(connection: DeviceConnection): void {
    const { deviceId } = connection
    if (!connection.safeMode || !connection.systemDescribed || connection.safeModeAnnounced) return
    const record = this.#context.registry.get(deviceId)
    if (!record?.describe) return
    connection.safeModeAnnounced = true
    this.#context.log.info({ deviceId }, 'device in safe mode')
    this.#context.publish(record, 'spark/status/safe-mode', describeToJson(record.describe))
    for (const observer of this.#context.observers) observer.safeMode?.(deviceId, record.describe)
  }

  #claim(connection: DeviceConnection, code: string): void {
    const { deviceId } = connection
    // A code is looked up in the database: one at a time for each device.
    if (connection.claiming) return
    connection.claiming = true
    this.#context.registry.claimByCode(deviceId, code).then(
      (ownerId) => {
        connection.claiming = false
        if (ownerId === undefined) {
          this.#context.log.warn({ deviceId }, 'the device sent a claim code that is unknown, used or expired')
          return
        }
        this.#context.log.info({ deviceId, ownerId }, 'device claimed by its claim code')
        this.#context.claimed(deviceId, code.slice(0, 6))
      },
      (error: unknown) => {
        connection.claiming = false
        this.#context.log.error({ deviceId, error }, 'the claim code could not be looked up')
      },
    )
  }

  #updatesFlag(connection: DeviceConnection, record: DeviceRecord, flag: 'enabled' | 'forced', on: boolean): void {
    const { deviceId } = connection
    if (flag === 'enabled') this.#context.registry.recordUpdatesEnabled(deviceId, on)
    // The owner's word stands: a device that does not know it is told, once a session.
    else if (on !== record.updatesForced && !connection.forcedTold) {
      connection.forcedTold = true
      connection.session?.publishSystem(
        cloudSystemEvent.updatesForced,
        String(record.updatesForced),
        this.#context.now(),
      )
    }
    this.#context.publish(record, `particle/device/updates/${flag}`, String(on))
    for (const observer of this.#context.observers) observer.updatesFlag?.(deviceId, flag, on)
  }

  /** The device goes on in a session in which it has described itself: what is known of it holds. */
  resumed(connection: DeviceConnection): void {
    const { deviceId, safeMode } = connection
    const { registry, observers } = this.#context
    if (!safeMode) registry.recordStatus(deviceId, 'normal')
    connection.safeModeAnnounced = safeMode
    const describe = registry.get(deviceId)?.describe
    if (describe) {
      for (const observer of observers) observer.described?.(deviceId, describe, safeMode)
      return
    }
    this.ask(connection)
  }

  /** Asks the device for what it would not say by itself. */
  ask(connection: DeviceConnection): void {
    const { now } = this.#context
    connection.session?.requestDescribe('system', now(), requestTimeouts.describe)
    connection.session?.requestDescribe('application', now(), requestTimeouts.describe)
  }

  /** What the device says of its modules, its application or its health. */
  described(connection: DeviceConnection, report: Describe): void {
    const { deviceId } = connection
    switch (report.kind) {
      case 'system': {
        const before = this.#context.registry.get(deviceId)
        const platformId = report.describe.platformId ?? connection.session?.hello?.platformId
        const full = platformId === undefined ? report.describe : { ...report.describe, platformId }
        const describe = this.#describes.of(full)
        this.#context.registry.recordDescribe(deviceId, { system: describe })
        connection.systemDescribed = true
        const hash = newAppHash(before?.describe, describe)
        if (before && hash) this.#context.publish(before, 'spark/device/app-hash', hash)
        for (const observer of this.#context.observers) observer.described?.(deviceId, describe, connection.safeMode)
        this.#announceSafeMode(connection)
        return
      }
      case 'application':
        this.#context.registry.recordDescribe(deviceId, {
          functions: this.#functions.of(report.functions),
          variables: this.#variables.of(report.variables),
        })
        // The device announces safe mode before it describes its application (device-protocol.md 3.4.1).
        if (!connection.safeMode) this.#context.registry.recordStatus(deviceId, 'normal')
        return
      case 'metrics':
        this.#diagnostics(connection, report.vitals)
    }
  }

  #diagnostics({ deviceId, since, published, roundTrip }: DeviceConnection, vitals: readonly Vital[]): void {
    const { registry, publish, observers, unixMillis } = this.#context
    const record = registry.get(deviceId)
    if (!record) return
    const now = unixMillis()
    const payload = { device: deviceVitals(vitals), service: serviceVitals({ since, now, published, roundTrip }) }
    publish(record, 'spark/device/diagnostics/update', JSON.stringify(payload))
    for (const observer of observers) observer.vitals?.(deviceId, payload, now)
  }
}
