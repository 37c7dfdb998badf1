/** What the rest of the cloud can ask of connected devices. */
import type { SystemDescribe } from '@aloe/firmware'
import type { Describe, DescribeKind, Hello, RequestResult } from '@aloe/protocol'
import type { VitalsPayload } from '../vitals/vitals.ts'

export type { DescribeKind, RequestResult } from '@aloe/protocol'

/** A variable's value as the API shows it (cloud-api.md 1.3). */
export type VariableValue = number | string | boolean

export interface UpdateOptions {
  /** Module function number; needed for assets on OTA v3 (device-protocol.md 3.19). */
  readonly moduleFunction?: number
  /** Forget what the device kept of an earlier attempt. */
  readonly discard?: boolean
  /** Bytes that the device has stored so far. */
  readonly progress?: (bytes: number, total: number) => void
}

/** How a transfer ended. `code` is a system error of modules-and-platforms.md 4.3. */
export type UpdateOutcome =
  | { readonly ok: true }
  | {
      readonly ok: false
      readonly stage: 'start' | 'transfer' | 'finish'
      readonly code: number
      readonly message: string
      /** The connection ended under it: nothing was decided by the device. */
      readonly interrupted: boolean
      /** It was given up from this side. */
      readonly cancelled?: boolean
    }

export interface RunningUpdate {
  /** Resolves when the device took the start; with the outcome when it did not. */
  readonly accepted: Promise<{ readonly ok: true; readonly offset: number } | Extract<UpdateOutcome, { ok: false }>>
  /** Resolves when the transfer ended; never rejects. */
  readonly outcome: Promise<UpdateOutcome>
  /** Gives the transfer up. `false` when the device cannot be told (the chunked protocol knows no such message). */
  cancel(): boolean
}

/** Bytes on the network: of updates, and of everything else; with the secure channel, without IP. */
export interface Traffic {
  readonly otaSent: number
  readonly otaReceived: number
  readonly messagesSent: number
  readonly messagesReceived: number
}

/** Told what happens to devices; every method may be left out. Called in the order in which things happen. */
export interface DeviceObserver {
  online?(deviceId: string, hello: Hello): void
  offline?(deviceId: string, reason: string): void
  /** A system describe came. `safeMode`: this session said that it is in safe mode. */
  described?(deviceId: string, describe: SystemDescribe, safeMode: boolean): void
  /** In safe mode, and the describe of this session is known. */
  safeMode?(deviceId: string, describe: SystemDescribe): void
  /** The device said whether it takes updates (`particle/device/updates/enabled` and `.../forced`). */
  updatesFlag?(deviceId: string, flag: 'enabled' | 'forced', on: boolean): void
  /** Bytes that went over the network since this was last told. */
  traffic?(deviceId: string, traffic: Traffic): void
  /** The device said how it is (cloud-api.md 1.9). @param at Unix milliseconds */
  vitals?(deviceId: string, payload: VitalsPayload, at: number): void
}

export interface ConnectionInfo {
  /** Different for every connection of this process. */
  readonly serial: number
  readonly address: string
  /** Unix milliseconds of the Hello. */
  readonly since: number
  readonly hello: Hello
  /** The session went on without a Hello: the device need not have restarted since it was last here. */
  readonly resumed: boolean
  /** True when the last Hello or event of this session says safe mode. */
  readonly safeMode: boolean
  /** The updates of this device can be given up at any time (OTA v3). */
  readonly cancellableUpdates: boolean
  /** The system describe of this very session, once it came. */
  readonly describe: SystemDescribe | undefined
}

/** Counts of the port for devices on UDP, since the start unless it says otherwise. */
export interface UdpStatistics {
  readonly datagrams: { readonly received: number; readonly sent: number }
  readonly sessions: {
    /** Now; also those of devices that are asleep or offline. */
    readonly stored: number
    /** Now. */
    readonly inMemory: number
    /** Came back from the store. */
    readonly resumed: number
    /** Changed their address. */
    readonly moved: number
  }
  readonly handshakes: {
    /** Now. */
    readonly underWay: number
    readonly started: number
    readonly established: number
    readonly failed: number
    readonly cookiesSent: number
  }
  /** Why datagrams and messages were left out. */
  readonly drops: Readonly<Record<string, number>>
}

export interface GatewayStatistics {
  /** Devices that are online now. */
  readonly online: number
  /** Null when the port is not open. */
  readonly udp: UdpStatistics | null
}

export interface Gateway {
  readonly tcpPort: number
  /** Null when devices on UDP are not served. */
  readonly udpPort: number | null
  /** How many devices are online. */
  readonly connected: number
  statistics(): GatewayStatistics
  isOnline(deviceId: string): boolean
  connection(deviceId: string): ConnectionInfo | undefined
  call(deviceId: string, name: string, argument: string): Promise<RequestResult<number>>
  readVariable(deviceId: string, name: string): Promise<RequestResult<VariableValue>>
  /** True when the device answered (or said anything else) in time. */
  ping(deviceId: string): Promise<boolean>
  signal(deviceId: string, on: boolean): Promise<RequestResult<undefined>>
  /** Tells the device to take updates although its application disabled them; false when it is offline. */
  setUpdatesForced(deviceId: string, on: boolean): boolean
  /** Publishes a system event to the device alone, whatever it subscribed to; false when it is offline. */
  publishSystem(deviceId: string, name: string, data: string): boolean
  requestDescribe(deviceId: string, kind: DescribeKind): Promise<RequestResult<readonly Describe[]>>
  /** Starts a transfer to the device; undefined when it is offline. The caller sees to it that there is only one. */
  startUpdate(deviceId: string, file: Uint8Array, options: UpdateOptions): RunningUpdate | undefined
  /** Ends the device's connection and session, if there is one: its key or its access changed. */
  disconnect(deviceId: string, reason: string): void
  /** The owner of the device changed: events go to and come from the new one from now on. */
  ownerChanged(deviceId: string): void
  /** Tells observers what was counted since the last time; of one device, or of all. */
  collectTraffic(deviceId?: string): void
  observe(observer: DeviceObserver): () => void
  close(): Promise<void>
}
