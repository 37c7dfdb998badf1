import type { ReleaseFolder } from '@aloe/device-os'
import { deviceOsRelease, deviceOsReleases } from '@aloe/firmware'
import type { Command } from 'commander'
import { CliError, exitCode } from '../cli-error.ts'
import { type CommonOptions, makeCommand, makeGroup, outputOf } from '../command.ts'
import { bytes } from '../output.ts'
import { importCommand, listCommand, removeCommand, setCommand, showCommand } from './device-os-catalogue.ts'

interface BuildOptions extends CommonOptions {
  readonly version?: string
  readonly all?: boolean
  readonly output: string
}

export function deviceOsCommand(): Command {
  return makeGroup('device-os', 'releases of the Device OS', [
    buildCommand(),
    importCommand(),
    listCommand(),
    showCommand(),
    setCommand(),
    removeCommand(),
  ])
}

function buildCommand(): Command {
  return makeCommand({
    usage: 'build',
    summary: 'build release folders from these sources',
    description:
      'Builds the bootloader, both system parts, the types and the manifest of a release of the Device OS for the platform linux, into <output>/<version>.',
    examples: [
      { line: 'aloe device-os build --version 2.0.0', what: 'one release, into ./device-os' },
      { line: 'aloe device-os build --all -o ./releases', what: 'all releases' },
    ],
  })
    .option(
      '--version <version>',
      `the release to build (${deviceOsReleases.map(({ version }) => version).join(', ')})`,
    )
    .option('--all', 'build all releases')
    .option('-o, --output <folder>', 'where release folders are made', 'device-os')
    .action(build)
}

async function build(options: BuildOptions): Promise<void> {
  const output = outputOf(options)
  const versions = wantedVersions(options)
  // Only this needs the Device OS itself: other commands start faster without it.
  const { buildRelease } = await import('@aloe/device-os')
  const built: ReleaseFolder[] = []
  for (const version of versions) {
    output.note(output.colors.dim(`building Device OS ${version} …`))
    built.push(await buildRelease({ version, outDir: options.output }))
  }
  output.result(
    built.map(({ dir, manifest }) => ({ folder: dir, ...manifest })),
    (colors) =>
      built
        .map(({ dir, manifest }) =>
          [
            `${colors.green('✔')} Device OS ${colors.bold(manifest.version)} in ${dir}`,
            ...manifest.modules.map(
              ({ filename, version, size }) => `  ${filename}  module version ${version}, ${bytes(size)}`,
            ),
          ].join('\n'),
        )
        .join('\n'),
  )
}

function wantedVersions({ all, version }: BuildOptions): string[] {
  if (all === true) return deviceOsReleases.map((release) => release.version)
  const known = deviceOsReleases.map((release) => release.version).join(', ')
  if (version === undefined) {
    throw new CliError('Which release?', {
      code: exitCode.usage,
      hint: `Name one with --version (${known}), or say --all.`,
    })
  }
  const release = deviceOsRelease(version)
  if (release === undefined) {
    throw new CliError(`There is no Device OS ${version}.`, { code: exitCode.usage, hint: `There are: ${known}` })
  }
  return [release.version]
}
