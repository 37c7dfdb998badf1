/**
 * Which release a module file belongs to. A file does not say it: its prefix has a counter, and several releases may
 * carry one number (modules-and-platforms.md 3). The importer says it, or the file's name, or the folder or archive that
 * it came in, or the number of its system part. What contradicts is refused, never guessed.
 */
import { compareSemver, moduleKey, moduleLabel, parseSemver } from '@aloe/firmware'
import type { CheckedModule } from './check-module.ts'
import { ImportError } from './import-error.ts'
import { type NameParts, readFolderName, readName } from './module-names.ts'
import { isPrereleaseVersion } from './release-state.ts'

export interface KnownVersions {
  /** The number of a release's system parts on a platform's family. */
  systemVersion(release: string, platformId: number): number | undefined
  /** All releases that carry a number. */
  releases(systemVersion: number, platformId: number): readonly string[]
}

export interface Identity {
  /** A version; `<function>@<version>` for a radio stack or NCP firmware of no release. */
  readonly release: string
  readonly auxiliary?: true
}

/** A file that is no part of a release, and of which nothing is wrong. */
export interface NotOfRelease {
  readonly skip: string
}

/**
 * @param path where the file was, with `/`: `particle_device-os@6.2.0.zip/6.2.0/argon/release/x.bin`
 * @param given the release that the importer named
 * @throws ImportError `unknown-release` or `conflict`
 */
export function identify(
  path: string,
  checked: CheckedModule,
  known: KnownVersions,
  given?: string,
): Identity | NotOfRelease {
  const segments = path.split('/')
  const name = readName(segments.at(-1) ?? '')
  const folders = segments.slice(0, -1).map(readFolderName).reverse()
  const skip = skipped(checked, name, folders)
  if (skip !== undefined) return { skip }
  checkName(checked, name, folders)

  const folder = folders.find(({ version }) => version !== undefined)?.version
  if (isAuxiliary(checked, name, folder, given)) {
    const { module } = checked
    return { release: `${module.function}@${module.version}`, auxiliary: true }
  }
  const claims: [string, string | undefined][] = [
    ['you named', given?.replace(/^v|\+.*$/g, '')],
    ['its name says', name.version],
    ['its folder says', folder],
  ]
  const said = claims.filter((claim): claim is [string, string] => claim[1] !== undefined)
  const [first, ...others] = said
  if (!first) return { release: byNumber(checked, known) }
  const [saying, release] = first
  for (const [otherwise, other] of others) {
    if (compareSemver(other, release) !== 0) conflict(`${saying} Device OS ${release}, but ${otherwise} ${other}`)
  }
  if (!parseSemver(release)) conflict(`${release} is not a version`)
  checkNumber(checked, known, release)
  return { release }
}

/** Applications besides the stock one are not of the Device OS, nor are builds for debuggers what devices get. */
function skipped(
  { module }: CheckedModule,
  { module: name, build }: NameParts,
  folders: readonly { readonly debug: boolean }[],
): string | undefined {
  if (folders.some(({ debug }) => debug) || build.some((tag) => /^(debug|jtag)/.test(tag)))
    return 'a build for debuggers'
  if (module.function === 'user_part' && !/^(tinker|user-part)$/.test(name)) {
    return 'an application, and not the stock one (tinker): it is flashed, not imported'
  }
  return undefined
}

function checkName(
  { module, platform }: CheckedModule,
  name: NameParts,
  folders: readonly { readonly platform?: { readonly name: string } }[],
): void {
  const named = name.platform ?? folders.find((folder) => folder.platform !== undefined)?.platform
  if (named && named.name !== platform.name) {
    const where = name.platform ? 'name' : 'folder'
    conflict(`its ${where} says ${named.name}, but the module is for ${platform.name}`)
  }
  if (name.ref && moduleKey(name.ref) !== moduleKey(module)) {
    conflict(`its name says ${name.module}, but the module is ${moduleLabel(module)}`)
  }
}

/** SoftDevice S140's own versions, by the version of the module: files of it are named by either. */
const softDevices: Readonly<Record<string, number>> = { '6.0.0': 169, '6.1.1': 182, '7.0.1': 202 }

/** Radio stacks are parts of releases, and published by themselves; NCP firmware has versions of its own. */
function isAuxiliary(
  { module }: CheckedModule,
  { version }: NameParts,
  folder: string | undefined,
  given: string | undefined,
): boolean {
  if (module.function !== 'radio_stack' && module.function !== 'ncp_firmware') return false
  const release = given ?? folder
  if (release !== undefined) return version !== undefined && compareSemver(version, release) !== 0
  if (version === undefined || module.function === 'ncp_firmware') return true
  return softDevices[version] === module.version
}

function byNumber({ module, platform }: CheckedModule, known: KnownVersions): string {
  const number = systemVersionIn(module)
  const releases = number === undefined ? [] : known.releases(number, platform.id)
  const newestFirst = releases.toSorted((a, b) => compareSemver(b, a))
  const release = newestFirst.find((version) => !isPrereleaseVersion(version)) ?? newestFirst[0]
  if (release !== undefined) return release
  const what = number === undefined ? moduleLabel(module) : `system part version ${number}`
  throw new ImportError(
    'unknown-release',
    `neither its name nor its folder says of which release it is, and ${what} is in no known one: name it with --release`,
  )
}

/** The number that tells the release: of a system part its own, of the stock application that which it was built for. */
function systemVersionIn(module: CheckedModule['module']): number | undefined {
  if (module.function === 'system_part' || module.function === 'mono_firmware') return module.version
  if (module.function !== 'user_part') return undefined
  return module.dependencies.find((dependency) => dependency.function === 'system_part')?.version
}

function checkNumber({ module, platform }: CheckedModule, known: KnownVersions, release: string): void {
  if (module.function !== 'system_part') return
  const number = known.systemVersion(release, platform.id)
  if (number !== undefined && number !== module.version) {
    conflict(`the system parts of Device OS ${release} have module version ${number}, this one has ${module.version}`)
  }
}

function conflict(message: string): never {
  throw new ImportError('conflict', message)
}
