/** What is wrong with a file that an owner wants on a device, as far as that can be told before it is sent. */
import {
  installedModules,
  moduleLabel,
  parseModule,
  platformById,
  type SystemDescribe,
  updateResult,
  validateUpdate,
} from '@aloe/firmware'
import type { SentModule } from './job.ts'

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
  const application = found.length === 1 && found[0]?.function === 'user_part' ? found[0] : undefined
  return {
    ok: true,
    modules: found.map(({ function: name, index, version }) => ({ function: name, index, version })),
    ...(application && { hash: application.sha256 }),
  }
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
