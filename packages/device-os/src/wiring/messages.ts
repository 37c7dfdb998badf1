/**
 * What application and system say to each other. Both ends are in the same system part 2, so that they always agree.
 */

export type VariableValue = boolean | number | string

/** Types of cloud variables as a describe names them (device-protocol.md 3.8.3). */
export type VariableKind = 'bool' | 'int32' | 'string' | 'double'

export interface ReportedError {
  readonly message: string
  readonly stack?: string
}

export type ToSystem =
  /** `setup()` is about to run, or is done. */
  | { readonly kind: 'setup'; readonly done: boolean }
  | { readonly kind: 'function'; readonly name: string }
  | { readonly kind: 'variable'; readonly name: string; readonly type: VariableKind; readonly value: VariableValue }
  /** What the application's variables are worth now. */
  | { readonly kind: 'values'; readonly values: Readonly<Record<string, VariableValue>> }
  | { readonly kind: 'subscribe'; readonly id: number; readonly filter: string; readonly binary: boolean }
  | { readonly kind: 'unsubscribe' }
  /** Answers to `call` and `read`. */
  | { readonly kind: 'result'; readonly id: number; readonly value: number }
  | { readonly kind: 'value'; readonly id: number; readonly value: VariableValue }
  /** One event has been handled. */
  | { readonly kind: 'handled' }
  | {
      readonly kind: 'log'
      readonly level: 'trace' | 'info' | 'warn' | 'error'
      readonly category: string
      readonly message: string
    }
  /** Asks the system for something; it answers with `reply` when `id` is not 0. */
  | { readonly kind: 'request'; readonly id: number; readonly name: string; readonly arguments: readonly unknown[] }
  /** Wants to know of system events with these bits. */
  | { readonly kind: 'listen'; readonly events: number }
  /** What the application does when the device resets is done. */
  | { readonly kind: 'noticed' }
  /** The application wrote a pin. */
  | { readonly kind: 'pin'; readonly pin: number }
  /** The application failed and runs no more. */
  | { readonly kind: 'panic'; readonly error: ReportedError }

export type ToApplication =
  | { readonly kind: 'init'; readonly deviceId: string; readonly startedAt: number }
  | { readonly kind: 'reply'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'call'; readonly id: number; readonly name: string; readonly argument: string }
  | { readonly kind: 'read'; readonly id: number; readonly name: string }
  | {
      readonly kind: 'event'
      readonly id: number
      readonly name: string
      readonly data: Uint8Array
      readonly contentType: number
    }
  | { readonly kind: 'system'; readonly event: number; readonly parameter: number }
  /** The device is about to reset; the application answers `noticed`. */
  | { readonly kind: 'resetting'; readonly event: number }
  /** What the status LED shows now, asked for by `RGB.onChange`. */
  | { readonly kind: 'led'; readonly red: number; readonly green: number; readonly blue: number }
