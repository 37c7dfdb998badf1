import { readFile } from 'node:fs/promises'
import {
  type FirmwareModule,
  type ModuleDependency,
  ModuleFormatError,
  moduleFlags,
  moduleLabel,
  parseModule,
  platformById,
  productOf,
} from '@aloe/firmware'
import type { Command } from 'commander'
import { CliError, exitCode, messageOf } from '../cli-error.ts'
import type { Colors } from '../colors.ts'
import { type CommonOptions, makeCommand, makeGroup, outputOf } from '../command.ts'
import { bytes, printable } from '../output.ts'

export function binaryCommand(): Command {
  return makeGroup('binary', 'look into module files', [inspectCommand()])
}

function inspectCommand(): Command {
  return makeCommand({
    usage: 'inspect <file>',
    summary: 'print what a module file is and whether it is whole',
    description:
      'Reads a module file (.bin) of any platform: what it is, what it needs, its checksums. Ends with code 1 when it is no module or is damaged.',
    examples: [
      { line: 'aloe binary inspect firmware.bin', what: 'for people' },
      { line: 'aloe binary inspect firmware.bin --json', what: 'all fields' },
    ],
  }).action(inspect)
}

async function inspect(path: string, options: CommonOptions): Promise<void> {
  const content = await readFile(path).catch((error: unknown) => {
    throw new CliError(`${path} cannot be read: ${messageOf(error)}`, { code: exitCode.usage })
  })
  const modules = parseAll(path, new Uint8Array(content))
  outputOf(options).result({ file: path, size: content.length, modules: modules.map(toJson) }, (colors) =>
    modules.map((module) => `${colors.bold(path)}: ${moduleLabel(module)}\n${describe(module, colors)}`).join('\n'),
  )
  if (modules.some(({ crcValid }) => !crcValid)) {
    throw new CliError(`${path} is damaged: its CRC-32 does not fit, no device accepts it.`)
  }
}

/** The modules of a file: one, or several in a combined file (modules-and-platforms.md 1.7). */
function parseAll(path: string, content: Uint8Array): FirmwareModule[] {
  const modules: FirmwareModule[] = []
  try {
    for (let rest = content; ; ) {
      const module = parseModule(rest)
      modules.push(module)
      if ((module.flags & moduleFlags.combined) === 0 || module.trailing === 0) return modules
      rest = rest.subarray(rest.length - module.trailing)
    }
  } catch (error) {
    if (!(error instanceof ModuleFormatError)) throw error
    throw new CliError(`${path} is not a module file: ${error.message}`)
  }
}

function describe(module: FirmwareModule, colors: Colors): string {
  const platform = platformById(module.platformId)
  const product = productOf(module)
  const verdict = (good: boolean) => (good ? colors.green('ok') : colors.red('does not fit'))
  const rows: (readonly [string, string])[] = [
    ['platform', platform === undefined ? String(module.platformId) : `${platform.displayName} (${module.platformId})`],
    ['size', `${bytes(module.bytes.length)} (${module.bytes.length} bytes)`],
    ['address', `0x${hex(module.startAddress)} to 0x${hex(module.endAddress)}`],
    ['needs', module.dependencies.map(dependency).join(', ') || 'nothing'],
    ...(product === undefined ? [] : [['product', `${product.id} version ${product.version}`] as const]),
    ['flags', flagNames(module.flags).join(', ') || 'none'],
    ['CRC-32', `${hex(module.crc)} ${verdict(module.crcValid)}`],
    ['SHA-256', `${module.sha256} ${verdict(module.sha256Valid)}`],
    ...module.assetDependencies.map(({ name, hash }) => ['asset', `${printable(name)} ${colors.dim(hash)}`] as const),
  ]
  return rows.map(([name, value]) => `  ${name.padEnd(10)}${value}`).join('\n')
}

function toJson(module: FirmwareModule): object {
  const { startAddress, endAddress, platformId, version, index, mcuTarget, flags, prefixOffset } = module
  return {
    size: module.bytes.length,
    platformId,
    platform: platformById(platformId)?.name ?? null,
    function: module.function,
    index,
    version,
    dependencies: module.dependencies,
    startAddress,
    endAddress,
    mcuTarget,
    flags: flagNames(flags),
    prefixOffset,
    product: productOf(module) ?? null,
    assetDependencies: module.assetDependencies,
    sha256: module.sha256,
    sha256Valid: module.sha256Valid,
    crc: hex(module.crc),
    crcValid: module.crcValid,
  }
}

function dependency(needed: ModuleDependency): string {
  return `${needed.function} ${needed.index} version ${needed.version} or newer`
}

function flagNames(flags: number): string[] {
  return Object.entries(moduleFlags)
    .filter(([, bit]) => (flags & bit) !== 0)
    .map(([name]) => name)
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0')
}
