/**
 * What a module is: its function and index, by name, by the code in its prefix
 * (modules-and-platforms.md 1.2) and by the letter in a describe (4.9).
 */

export type ModuleFunction =
  | 'none'
  | 'resource'
  | 'bootloader'
  | 'mono_firmware'
  | 'system_part'
  | 'user_part'
  | 'settings'
  | 'ncp_firmware'
  | 'radio_stack'
  | 'asset'

/** Names a module on a device: there is at most one per store. */
export interface ModuleRef {
  readonly function: ModuleFunction
  readonly index: number
}

/** A module that must be there in at least `version` (an unsigned 16-bit floor; 0 is any). */
export interface ModuleDependency extends ModuleRef {
  readonly version: number
}

/** An asset that an application needs, or that a device has. */
export interface AssetRef {
  readonly name: string
  /** SHA-256 of the raw asset, 64 lower-case hexadecimal digits. */
  readonly hash: string
  /** Bytes of the raw asset. */
  readonly size?: number
  /** Bytes that it takes in the device's asset store. */
  readonly storageSize?: number
}

/** In the order of their codes: `moduleFunctions[5]` is `user_part`. */
export const moduleFunctions: readonly ModuleFunction[] = [
  'none',
  'resource',
  'bootloader',
  'mono_firmware',
  'system_part',
  'user_part',
  'settings',
  'ncp_firmware',
  'radio_stack',
  'asset',
]

const letters = 'nrbmsu_cat'
const codes = new Map(moduleFunctions.map((name, code) => [name, code]))

/** The function of a prefix's or describe's code; undefined when no such code is known. */
export function moduleFunctionOf(code: number): ModuleFunction | undefined {
  return moduleFunctions[code]
}

/** The code of a function, 0 to 9. */
export function moduleFunctionCode(name: ModuleFunction): number {
  return codes.get(name) ?? 0
}

/** The letter of a function in a JSON describe; settings have none and print `_` (4.9). */
export function moduleFunctionLetter(name: ModuleFunction): string {
  return letters.charAt(moduleFunctionCode(name))
}

/**
 * The function of a describe's letter. Undefined for anything else and for `_`, which a device
 * prints for settings as well as for assets.
 */
export function moduleFunctionOfLetter(letter: string): ModuleFunction | undefined {
  if (letter === 'e') return 'settings'
  if (letter.length !== 1 || letter === '_') return undefined
  return moduleFunctions[letters.indexOf(letter)]
}

/** A module's name for logs and messages, with the version when there is one: `system_part 1@6200`. */
export function moduleLabel(module: ModuleRef & { readonly version?: number }): string {
  const name = `${module.function} ${module.index}`
  return module.version === undefined ? name : `${name}@${module.version}`
}

/** A key for maps: equal for equal function and index. */
export function moduleKey(module: ModuleRef): string {
  return `${module.function}:${module.index}`
}
