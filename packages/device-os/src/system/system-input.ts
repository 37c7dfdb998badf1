/** What system part 2 is given when it is started, and what it gives back. */
import type { BootDecision } from '../boot/decision.ts'
import type { Flash } from '../flash/flash.ts'
import type { ResetReason } from '../flash/reset-reason.ts'
import type { RunApplication } from '../hal/application.ts'
import type { Hal } from '../hal/hal.ts'
import type { LedState } from '../hal/led-state.ts'
import type { Communication, ConnectionStatus } from './communication.ts'

export interface SystemInput {
  readonly hal: Hal
  readonly flash: Flash
  readonly decision: BootDecision
  /** The exports of the installed system part 1. */
  readonly communication: Communication
  readonly runApplication: RunApplication
  /** Ends this run of the system; the device boots again. The last thing that the system does. */
  reset(reason: ResetReason, data?: number): void
}

export interface RunningSystem {
  /** What the status LED shows. */
  led(): LedState
  readonly cloudStatus: ConnectionStatus
  /** Ends the run; gracefully: with a goodbye to the cloud. Nothing runs any more when it resolves. */
  stop(graceful: boolean): Promise<void>
}

export type StartSystem = (input: SystemInput) => RunningSystem
