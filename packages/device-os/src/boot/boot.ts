/**
 * One boot: pending modules are applied, the installed ones validated, normal or safe mode decided, the system started,
 * and its end turned into the reason that the next boot is told (modules-and-platforms.md 4.5, 4.6, 6.3).
 */
import { moduleLabel } from '@aloe/firmware'
import { Flash } from '../flash/flash.ts'
import type { ResetInfo } from '../flash/reset-reason.ts'
import { type AppliedModule, applyPending } from './apply.ts'
import { type BootDecision, decide } from './decision.ts'
import { resetInfoOf } from './reset-info.ts'
import type { Rom } from './rom.ts'

export async function boot(rom: Rom): Promise<void> {
  const flash = new Flash(rom.storage, rom.platform)
  flash.recover()
  if (rom.powerOn) flash.clearRetained()
  const reset = resetInfo(flash, rom)

  const applied = apply(flash, rom)
  if (applied.some((module) => module.function === 'bootloader' && module.result === 0)) {
    // The new bootloader goes on, with what this one was told.
    flash.setResetInfo(reset)
    return
  }

  const requested = flash.config.startupMode === 'safe'
  if (requested) flash.updateConfig({ startupMode: 'normal' })
  const found = decide(flash, requested)
  if (found.mode === 'dfu') {
    await stay(rom, `the system cannot be started: ${found.why}`)
    return
  }
  const decision: BootDecision = {
    ...found,
    resetReason: reset.reason,
    resetData: reset.data,
    applied,
    powerOn: rom.powerOn,
  }
  rom.log(
    decision.mode === 'safe'
      ? { level: 'warn', message: `safe mode: ${decision.why}` }
      : { level: 'info', message: 'starting the system' },
  )

  const end = await rom.startSystem(decision)
  if (end.kind === 'off') return
  if (end.kind === 'unusable') {
    await stay(rom, `the installed system parts do not run: ${end.message}`)
    return
  }
  const info = resetInfoOf(end)
  flash.setResetInfo(info)
  const orderly = end.kind === 'reset'
  rom.log({ level: orderly ? 'info' : 'error', message: `reset: ${info.reason}${words(info)}` })
}

function words(info: ResetInfo): string {
  return info.message ? ` (${info.message})` : ''
}

/** After power came on, memory holds nothing: whatever was noted before belongs to an older life. */
function resetInfo(flash: Flash, rom: Rom): ResetInfo {
  const noted = flash.takeResetInfo()
  if (rom.powerOn) return { reason: 'power_down', data: 0 }
  return noted ?? { reason: 'unknown', data: 0 }
}

function apply(flash: Flash, rom: Rom): AppliedModule[] {
  if (flash.pending().length > 0) rom.signal('applying')
  const applied = applyPending(flash)
  for (const module of applied) {
    rom.log(
      module.result === 0
        ? { level: 'info', message: `installed ${moduleLabel(module)}, ${module.size} bytes` }
        : { level: 'error', message: `dropped ${moduleLabel(module)}: ${module.message} (${module.result})` },
    )
  }
  return applied
}

function stay(rom: Rom, reason: string): Promise<void> {
  rom.log({ level: 'error', message: `${reason}; the device stays in the bootloader` })
  rom.signal('dfu')
  return rom.stay(reason)
}
