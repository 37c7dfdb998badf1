/** What is wrong with a file that an owner wants on a device, as far as that can be told before it is sent. */
import {
  type Bundle,
  decompressModule,
  type FirmwareModule,
  installedModule,
  installedModules,
  ModuleFormatError,
  moduleFlags,
  moduleLabel,
  type OfferedApplication,
  parseModule,
  platformById,
  readBundle,
  type SystemDescribe,
  splitModules,
  updateResult,
  validateUpdate,
} from '@aloe/firmware'
import type { SentModule } from './job.ts'

export interface OfferedFile {
  readonly file: Uint8Array
  readonly modules: readonly SentModule[]
  readonly hash?: string | undefined
}

export interface CheckedFile {
  /** One, or two combined. */
  readonly modules: readonly SentModule[]
  /** SHA-256 field of the application in it, by which its arrival can be told from the describe. */
  readonly hash?: string
}

export type FileCheck = ({ readonly ok: true } & CheckedFile) | { readonly ok: false; readonly reason: string }

/**
 * Checks the file as the device will (modules-and-platforms.md 4.1 to 4.3), except for dependencies: over those the
 * device has the last word, since only it knows what it has at the moment.
 */
export function checkFile(file: Uint8Array, platformId: number, describe: SystemDescribe | null): FileCheck {
  const platform = platformById(platformId)
  if (!platform) return { ok: false, reason: `the device's platform (${platformId}) is not known` }
  const installed = describe ? installedModules(describe) : []
  const { result, message, modules } = validateUpdate(file, platform, installed)
  if (result !== updateResult.ok && result !== updateResult.dependencyCheckFailed) {
    return { ok: false, reason: foreign(file, platform.id) ?? `${message} (${result})` }
  }
  const found = modules.flatMap(({ module }) => (module ? [module] : []))
  if (found.length === 0) return { ok: false, reason: 'there is no module in the file' }
  const hash = applicationHash(file, found)
  return {
    ok: true,
    modules: found.map(({ function: name, index, version }) => ({ function: name, index, version })),
    ...(hash !== undefined && { hash }),
  }
}

/** True for a zip archive. */
export function isBundle(file: Uint8Array): boolean {
  return file[0] === 0x50 && file[1] === 0x4b && file[2] === 0x03 && file[3] === 0x04
}

/** @returns the bundle, or what is wrong with it */
export function openBundle(file: Uint8Array): Bundle | string {
  try {
    return readBundle(file)
  } catch (error) {
    if (error instanceof ModuleFormatError) return error.message
    throw error
  }
}

const applications = new WeakMap<Uint8Array, OfferedApplication | null>()

/** The application that a file alone holds, as the planner wants it; undefined when it holds anything else. */
export function applicationIn(file: Uint8Array): OfferedApplication | undefined {
  let found = applications.get(file)
  if (found === undefined) {
    found = readApplication(file) ?? null
    applications.set(file, found)
  }
  return found ?? undefined
}

function readApplication(file: Uint8Array): OfferedApplication | undefined {
  try {
    const module = plain(parseModule(file))
    if (module.function !== 'user_part' || (module.flags & moduleFlags.combined) !== 0) return undefined
    return { ...installedModule(module), function: 'user_part', size: file.length }
  } catch (error) {
    if (error instanceof ModuleFormatError) return undefined
    throw error
  }
}

function applicationHash(file: Uint8Array, modules: readonly FirmwareModule[]): string | undefined {
  if (!modules.some((module) => module.function === 'user_part')) return undefined
  try {
    // As it will lie in its slot: neither combined nor compressed.
    const parts = splitModules(file).map((bytes) => plain(parseModule(bytes)))
    return parts.find((module) => module.function === 'user_part')?.sha256
  } catch (error) {
    if (error instanceof ModuleFormatError) return undefined
    throw error
  }
}

function plain(module: FirmwareModule): FirmwareModule {
  if ((module.flags & moduleFlags.compressed) === 0) return module
  return parseModule(decompressModule(module.bytes))
}

/** A module of another platform often has no slot here: the platform is the better explanation then. */
function foreign(file: Uint8Array, platformId: number): string | undefined {
  try {
    const module = parseModule(file)
    if (module.platformId === platformId) return undefined
    const name = platformById(module.platformId)?.displayName ?? `platform ${module.platformId}`
    const own = platformById(platformId)?.displayName
    return `${moduleLabel(module)} is for ${name}, and the device is ${own ?? `of platform ${platformId}`}`
  } catch {
    return undefined
  }
}
