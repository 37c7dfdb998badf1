/**
 * What the processes of a device say to each other: the system reports to the bootloader, the bootloader to the ROM
 * (the process that runs the device), which tells whoever started it. Commands go the other way.
 */
import type { BootDecision } from '../boot/decision.ts'
import type { BootLine, BootSignal } from '../boot/rom.ts'
import type { ResetReason } from '../flash/reset-reason.ts'
import type { LedState, LogRecord } from '../hal/index.ts'

/** From the system upwards, to whoever watches the device. */
export type SystemReport =
  | { readonly type: 'led'; readonly led: LedState }
  | { readonly type: 'log'; readonly record: LogRecord }

/** From the system process to the bootloader process. */
export type SystemMessage =
  | SystemReport
  /** The process runs and has left its mark in the folder. */
  | { readonly type: 'ready' }
  /** The system runs: its parts were evaluated and started. */
  | { readonly type: 'started' }
  | { readonly type: 'alive' }
  | { readonly type: 'reset'; readonly reason: ResetReason; readonly data?: number }
  | { readonly type: 'crash'; readonly message: string }
  | { readonly type: 'unusable'; readonly message: string }
  /** The system has ended because it was told to stop. */
  | { readonly type: 'stopped' }

/** From the bootloader process to the ROM. */
export type BootMessage =
  | SystemReport
  | { readonly type: 'ready' }
  | { readonly type: 'line'; readonly line: BootLine }
  | { readonly type: 'signal'; readonly signal: BootSignal }
  | { readonly type: 'decided'; readonly decision: BootDecision; readonly systemPid: number | undefined }
  | { readonly type: 'system-started' }
  | { readonly type: 'system-ended'; readonly kind: string; readonly words: string }
  | { readonly type: 'stays'; readonly reason: string }
  /** The bootloader has returned; `orderly` when the system's end was asked for. */
  | { readonly type: 'returned'; readonly orderly: boolean }
  /** The bootloader's code cannot run at all. */
  | { readonly type: 'unusable'; readonly message: string }

export interface DeviceProcessInput {
  /** The device's folder. */
  readonly dir: string
  readonly platformId: number
  /** Process id of the parent: a process whose parent is another one has lost its own. */
  readonly parent: number
}

export interface BootProcessInput extends DeviceProcessInput {
  readonly powerOn: boolean
  /** The watchdog bites when the system has not fed it for so long, ms. */
  readonly watchdog: number
}

export interface SystemProcessInput extends DeviceProcessInput {
  readonly decision: BootDecision
}

/** From a parent to its child. The input is the first message and comes once. */
export type ChildMessage<Input> =
  | { readonly type: 'input'; readonly input: Input }
  /** End in good order. */
  | { readonly type: 'stop' }
  /** Somebody pressed the reset button. */
  | { readonly type: 'reset-pin' }
