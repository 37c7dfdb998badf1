/**
 * How an application is run beside the system: in a thread of its own on a real device, inline in a fleet.
 * The messages between the two are the system's business; here they are opaque.
 */
import type { Millis, Timer } from './time.ts'

/** Anything that survives a structured clone. */
export type ApplicationMessage = object

/** The application's end, handed to `startApplication` of system part 2. */
export interface ApplicationPort {
  post(message: ApplicationMessage): void
  onMessage(handler: (message: ApplicationMessage) => void): void
  /** Handles all waiting messages now, so that a loop that never yields can still serve the cloud by asking. */
  drain(): void
  now(): Millis
  setTimer(delay: Millis, fn: () => void): Timer
  /** State that both ends read and write; the layout is the system's. */
  readonly shared: SharedArrayBuffer
  /** The pins' memory. */
  readonly pins: SharedArrayBuffer
  /** Pause between two turns of `loop()`. */
  readonly loopInterval: Millis
}

export interface ApplicationStart {
  /** Source text of the user part: CommonJS that may only `require('device-os')`. */
  readonly userBody: string
  readonly shared: SharedArrayBuffer
  readonly pins: SharedArrayBuffer
}

export interface ApplicationHandlers {
  message(message: ApplicationMessage): void
  /** The application's thread ended without being asked to. */
  exited(error: Error): void
}

/** The system's end. */
export interface ApplicationRun {
  post(message: ApplicationMessage): void
  /** Ends it wherever it is, also in the middle of a loop that never yields. */
  terminate(): Promise<void>
}

export type RunApplication = (start: ApplicationStart, handlers: ApplicationHandlers) => ApplicationRun

/** What system part 2 exports for the application's side. */
export type StartApplication = (port: ApplicationPort, userBody: string) => void
