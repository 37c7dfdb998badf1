/**
 * Names of module files, as releases have them: `argon-system-part1@6.2.0.bin`, before 1.0 `system-part1-0.8.0-argon.bin`
 * (modules-and-platforms.md 3 and 9; Device OS, "Artifact Versioning and Tagging").
 */
import { type ModuleRef, moduleKey, type Platform, parseSemver, platformByName, platforms } from '@aloe/firmware'

const names: readonly [string, ModuleRef][] = [
  ['bootloader', { function: 'bootloader', index: 0 }],
  ['prebootloader-mbr', { function: 'bootloader', index: 1 }],
  ['prebootloader-part1', { function: 'bootloader', index: 2 }],
  ['system-part1', { function: 'system_part', index: 1 }],
  ['system-part2', { function: 'system_part', index: 2 }],
  ['system-part3', { function: 'system_part', index: 3 }],
  ['softdevice', { function: 'radio_stack', index: 0 }],
  ['ncp-firmware', { function: 'ncp_firmware', index: 0 }],
  ['monofirmware', { function: 'mono_firmware', index: 0 }],
]
const refs = new Map(names)
const namesByKey = new Map(names.map(([name, ref]) => [moduleKey(ref), name]))

/** The name that a module is stored and downloaded by. */
export function moduleFilename(platform: Platform, module: ModuleRef & { protected?: true }, release: string): string {
  const plain = namesByKey.get(moduleKey(module)) ?? `${module.function.replaceAll('_', '-')}${module.index}`
  const name = module.function === 'user_part' ? 'tinker' : plain
  return `${platform.name}-${name}${module.protected ? '-protected' : ''}@${release}.bin`
}

export interface NameParts {
  /** Without a build's tags. */
  readonly version?: string
  readonly platform?: Platform
  /** `system-part1`, `tinker`, … or any other text. */
  readonly module: string
  /** The module that this name is for, when it is a usual one. */
  readonly ref?: ModuleRef
  /** Tags of the build: `lto`, `debug`, `jtag`. */
  readonly build: readonly string[]
}

const semver = String.raw`v?\d+\.\d+\.\d+(?:-[0-9A-Za-z]+(?:\.[0-9A-Za-z]+)*)?(?:\+[0-9A-Za-z.-]+)?`
const modern = new RegExp(`^(.*)@(${semver})$`)
/** A pre-release tag is a word, a full stop and a number here: what follows a hyphen behind it is the platform. */
const early = /^(.*?)-(v?\d+\.\d+\.\d+(?:-[a-z]+\.\d+)?)-([a-z0-9]+)$/
/** Boards of the first releases of Gen 3 SoMs were called by the board that they grew out of. */
const somNames: Readonly<Record<string, string>> = {
  'argon-som': 'asom',
  'boron-som': 'bsom',
  'xenon-som': 'xsom',
}

/** Takes a file's name apart; what it does not say is absent. Never throws. */
export function readName(filename: string): NameParts {
  const stem = filename.replace(/\.bin$/i, '')
  const match = modern.exec(stem)
  const old = match ? undefined : early.exec(stem)
  const [, rest = stem, text, lastPart] = match ?? old ?? []
  const parsed = text === undefined ? undefined : parseSemver(text)
  const last = lastPart === undefined ? undefined : platformByName(lastPart)
  const [platform, module] = last ? [last, rest] : splitPlatform(rest)
  const ref = refs.get(module)
  return {
    module,
    build: parsed?.build ?? [],
    ...(text !== undefined && parsed && { version: text.replace(/^v/, '').replace(/\+.*$/, '') }),
    ...(platform && { platform }),
    ...(ref && { ref }),
  }
}

function splitPlatform(text: string): [Platform | undefined, string] {
  for (const [prefix, name] of Object.entries(somNames)) {
    if (text.startsWith(`${prefix}-`)) return [platformByName(name), text.slice(prefix.length + 1)]
  }
  const hyphen = text.indexOf('-')
  const first = hyphen < 0 ? text : text.slice(0, hyphen)
  // Single letters are aliases at a prompt, not in a file's name.
  const platform = platforms.find(
    ({ name, aliases }) => name === first || (first.length > 2 && aliases.includes(first)),
  )
  return platform ? [platform, hyphen < 0 ? '' : text.slice(hyphen + 1)] : [undefined, text]
}

/** What a folder or an archive says of the files in it. */
export interface FolderParts {
  readonly version?: string
  readonly platform?: Platform
  /** A build for debuggers. */
  readonly debug: boolean
}

const archive = new RegExp(`^(?:particle[_-])?(?:device-?os|firmware)?[@-]?(${semver})$`)

/** Reads a folder's or an archive's name: `6.2.0`, `v6.2.0`, `argon`, `particle_device-os@6.2.0+argon.binaries.zip`. */
export function readFolderName(name: string): FolderParts {
  const stem = name.replace(/\.zip$/i, '').replace(/\.binaries$/, '')
  const debug = /^(debug|jtag)/.test(stem)
  const text = archive.exec(stem)?.[1]
  const parsed = text === undefined ? undefined : parseSemver(text)
  if (text === undefined || !parsed) {
    const platform = stem.length > 1 ? platformByName(stem) : undefined
    return { debug, ...(platform && { platform }) }
  }
  const platform = parsed.build.map((word) => platformByName(word)).find((found) => found !== undefined)
  return { debug, version: text.replace(/^v/, '').replace(/\+.*$/, ''), ...(platform && { platform }) }
}
