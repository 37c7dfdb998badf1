import type { FirmwareModule } from '@aloe/firmware'
import type { BootDecision } from '../boot/decision.ts'
import type { Flash } from '../flash/flash.ts'
import type { ResetReason } from '../flash/reset-reason.ts'
import type { Hal, RunApplication, StartApplication } from '../hal/index.ts'
import type { Communication } from '../system/communication.ts'
import type { RunningSystem, StartSystem } from '../system/system-input.ts'
import { exportedFunction, ModuleBodyError, moduleExports } from './evaluate.ts'

export interface StartInput {
  readonly flash: Flash
  readonly hal: Hal
  readonly decision: BootDecision
  /** Evaluate each body once for all devices of this process. */
  readonly shared: boolean
  /** How this host runs an application, given the installed system part 2. */
  readonly runApplication: (part2: FirmwareModule, startApplication: StartApplication) => RunApplication
  readonly reset: (reason: ResetReason, data?: number) => void
}

/**
 * Starts the system from the code inside the installed system parts.
 * @throws ModuleBodyError when a part cannot be evaluated or lacks what it must export
 */
export function startInstalledSystem(input: StartInput): RunningSystem {
  const { flash, hal, decision, shared, reset } = input
  const part1 = systemPart(flash, 1)
  const part2 = systemPart(flash, 2)
  const communication = moduleExports(part1, shared).communication
  if (typeof communication !== 'object' || communication === null) {
    throw new ModuleBodyError(`system part 1@${part1.version} exports no communication`)
  }
  const system = moduleExports(part2, shared)
  const startSystem = exportedFunction(part2, system, 'startSystem') as StartSystem
  const startApplication = exportedFunction(part2, system, 'startApplication') as StartApplication
  return startSystem({
    hal,
    flash,
    decision,
    communication: communication as Communication,
    runApplication: input.runApplication(part2, startApplication),
    reset,
  })
}

function systemPart(flash: Flash, index: number): FirmwareModule {
  const module = flash.parsed('system_part', index)
  if (!module) throw new ModuleBodyError(`system part ${index} is missing`)
  return module
}
