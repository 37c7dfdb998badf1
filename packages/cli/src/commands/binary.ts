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
import { CliError, messageOf } from '../cli-error.ts'
import { type CommonOptions, makeCommand, makeGroup, outputOf } from '../command.ts'
import { bytes } from '../output.ts'

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
    throw new CliError(`${path} cannot be read: ${messageOf(error)}`)
  })
  const module = parse(path, new Uint8Array(content))
  const platform = platformById(module.platformId)
  const platformName =
    platform === undefined ? `platform ${module.platformId}` : `${platform.displayName} (${module.platformId})`
  const output = outputOf(options)
  output.result(toJson(path, content.length, module), (colors) => {
    const verdict = (good: boolean) => (good ? colors.green('ok') : colors.red('does not fit'))
    const rows: [string, string][] = [
      ['platform', platformName],
      ['size', `${bytes(content.length)} (${content.length} bytes)`],
      ['address', `0x${hex(module.startAddress)} to 0x${hex(module.endAddress)}`],
      ['needs', module.dependencies.map(dependency).join(', ') || 'nothing'],
      ['flags', flagNames(module.flags).join(', ') || 'none'],
      ['CRC-32', `${hex(module.crc)} ${verdict(module.crcValid)}`],
      ['SHA-256', `${module.sha256} ${verdict(module.sha256Valid)}`],
    ]
    const product = productOf(module)
    if (product !== undefined) rows.splice(4, 0, ['product', `${product.id} version ${product.version}`])
    for (const asset of module.assetDependencies) rows.push(['asset', `${asset.name} ${colors.dim(asset.hash)}`])
    const lines = rows.map(([name, value]) => `  ${name.padEnd(10)}${value}`)
    return [`${colors.bold(path)}: ${moduleLabel(module)}`, ...lines].join('\n')
  })
  if (!module.crcValid) throw new CliError(`${path} is damaged: its CRC-32 does not fit, no device accepts it.`)
}

function parse(path: string, content: Uint8Array): FirmwareModule {
  try {
    return parseModule(content)
  } catch (error) {
    if (!(error instanceof ModuleFormatError)) throw error
    throw new CliError(`${path} is not a module file: ${error.message}`)
  }
}

function toJson(path: string, size: number, module: FirmwareModule): object {
  const { startAddress, endAddress, platformId, version, index, mcuTarget, flags, prefixOffset } = module
  return {
    file: path,
    size,
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
