/**
 * The dependency test of a device, in its four variants (modules-and-platforms.md 4.2). Only direct
 * dependencies are tested.
 */

import { moduleFunctionOf } from '../module-function.ts'
import type { Platform } from '../platforms/platform.ts'
import { slotOf } from '../platforms/platforms.ts'
import { type InstalledModules, satisfies, type VersionedModule } from './installed.ts'

export interface AcceptanceRules {
  /**
   * An application may lack what it needs (the device then starts in safe mode), and a second
   * dependency on a bootloader is not enforced. True for updates, false at boot.
   */
  readonly userOptional: boolean
  /** The other installed system parts must still accept the new one. True for updates, false at boot. */
  readonly full: boolean
}

/** How an update is tested, over the air or over USB. */
export const updateRules: AcceptanceRules = { userOptional: true, full: true }

/** How the installed modules are tested at boot. */
export const bootRules: AcceptanceRules = { userOptional: false, full: false }

/** Whether a device with these modules takes `module`, as far as dependencies go. */
export function acceptsUpdate(
  platform: Platform,
  installed: InstalledModules,
  module: VersionedModule,
  rules: AcceptanceRules = updateRules,
): boolean {
  return (
    dependenciesMet(platform, installed, module, rules.userOptional) && (!rules.full || keepsOthers(installed, module))
  )
}

/** Whether the module's own dependencies are met: the DEPENDENCIES flag. */
export function dependenciesMet(
  platform: Platform,
  installed: InstalledModules,
  module: VersionedModule,
  userOptional: boolean,
): boolean {
  const [first, second] = fieldsOf(module)
  // The second field is not looked at when the first is empty.
  if (!first || first.function === 'none') return true
  if (userOptional && module.function === 'user_part') return true
  if (!met(platform, installed, first)) return false
  if (!second || second.function === 'none') return true
  if (userOptional && second.function === 'bootloader') return true
  return met(platform, installed, second)
}

/**
 * Whether every other installed system part still finds what it needs once a system part is
 * replaced: the DEPENDENCIES_FULL flag. It is what blocks downgrades in the wrong order.
 */
export function keepsOthers(installed: InstalledModules, module: VersionedModule): boolean {
  if (module.function !== 'system_part') return true
  return installed.every(
    (other) =>
      other.function !== 'system_part' ||
      other.index === module.index ||
      other.intact === false ||
      other.dependencies.every(
        (dependency) =>
          dependency.function !== 'system_part' ||
          dependency.index !== module.index ||
          dependency.version <= module.version,
      ),
  )
}

interface Field {
  /** Undefined for a function code that is not known here: nothing can satisfy it. */
  readonly function: ReturnType<typeof moduleFunctionOf>
  readonly index: number
  readonly version: number
}

function fieldsOf(module: VersionedModule): readonly Field[] {
  if (!module.dependencyFields) return module.dependencies
  return module.dependencyFields.map(({ functionCode, index, version }) => ({
    function: moduleFunctionOf(functionCode),
    index,
    version,
  }))
}

function met(platform: Platform, installed: InstalledModules, field: Field): boolean {
  if (field.function === undefined) return false
  const dependency = { function: field.function, index: field.index, version: field.version }
  return slotOf(platform, dependency) !== undefined && satisfies(installed, dependency)
}
