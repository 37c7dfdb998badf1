/** What the system offers to the system's side of API members. */

export interface PublishRequest {
  readonly name: string
  readonly data: Uint8Array
  readonly contentType: number
  /** Seconds. */
  readonly ttl: number
  /** Whether the promise waits for the cloud's acknowledgement; undefined: as the transport has it. */
  readonly acknowledge: boolean | undefined
}

export interface ApplicationLedStatus {
  readonly active: boolean
  /** 0xRRGGBB */
  readonly color: number
  readonly pattern: 'solid' | 'blink' | 'fade'
  /** ms; 0 for the speed's own period. */
  readonly period: number
  readonly speed: 'slow' | 'normal' | 'fast'
  readonly priority: 'background' | 'normal' | 'important' | 'critical'
}

export interface Services {
  /** False when it was not sent, was refused, or the rate limit was hit. */
  publish(request: PublishRequest): Promise<boolean>
  connect(): void
  /** Resolves when the connection is closed. */
  disconnect(): Promise<void>
  /** Resolves when the time has come; false when it did not. */
  syncTime(): Promise<boolean>
  setKeepAlive(seconds: number): void
  sendVitals(): Promise<boolean>
  /** Vitals every `seconds`; 0 ends it. */
  scheduleVitals(seconds: number): void
  setUpdatesEnabled(enabled: boolean): void
  setResetEnabled(enabled: boolean): void
  reset(data: number): void
  enterSafeMode(): void
  setTime(unixSeconds: number): void
  /** Of the application. */
  readonly assets: {
    list(): readonly { readonly name: string; readonly size: number; readonly hash: string }[]
    read(name: string): Uint8Array | undefined
  }
  readonly led: {
    control(on: boolean): void
    color(rgb: number): void
    brightness(value: number): void
    listen(on: boolean): void
    status(id: string, status: ApplicationLedStatus | undefined): void
  }
}

/** Handles a request of the application; what it returns (or resolves to) is the reply. */
export type RequestHandler = (services: Services, args: readonly unknown[]) => unknown
