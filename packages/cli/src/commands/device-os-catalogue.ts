/** `aloe device-os import|list|show|set|remove`: the releases that a cloud can give its devices (docs/catalogue.md). */
import type { DescribedRelease, ImportEntry, ImportReport, ListedRelease, StateWord } from '@aloe/cloud'
import { type Command, Option } from 'commander'
import { openCatalogue } from '../catalogue-client.ts'
import { CliError, exitCode } from '../cli-error.ts'
import type { Colors } from '../colors.ts'
import { type CommandText, type CommonOptions, cloudOption, makeCommand, outputOf } from '../command.ts'
import { bytes, type Output, printable, table } from '../output.ts'
import { confirm } from '../prompt.ts'

interface CatalogueCommandOptions extends CommonOptions {
  readonly dataDir?: string
  readonly platform?: string
}

/** As `stateWords` of the cloud, which only commands that need it load. */
const states = ['release', 'lts', 'preview', 'pre_release', 'archived']

function catalogueCommand(text: CommandText): Command {
  return makeCommand(text)
    .addOption(cloudOption())
    .option('--data-dir <folder>', 'work on the data folder of a cloud that does not run')
}

interface ImportCommandOptions extends CatalogueCommandOptions {
  readonly release?: string
  readonly state?: StateWord
  readonly notes?: string
}

export function importCommand(): Command {
  return catalogueCommand({
    usage: 'import <paths...>',
    summary: 'take Device OS releases into the catalogue',
    description:
      'Takes real release files as they are downloaded: single modules (argon-system-part1@6.2.0.bin), release archives (.zip), and folders of both. Each file is checked; what is no module of a release is left out, what is wrong is listed, and the others are taken. Of which release a file is, its name says, its folder or archive, or --release.',
    examples: [
      { line: 'aloe device-os import argon-system-part1@6.2.0.bin', what: 'one module' },
      { line: 'aloe device-os import particle_device-os@6.2.0.zip', what: 'a release, all platforms' },
      { line: 'aloe device-os import ~/device-os', what: 'all that is in a folder' },
      { line: 'aloe device-os import system.bin --release 6.2.0', what: 'a file whose name does not tell' },
      { line: 'aloe device-os import ~/device-os --data-dir ./data', what: 'before the cloud is started' },
    ],
  })
    .option('--release <version>', 'the release of all these files')
    .addOption(new Option('--state <state>', 'state of the releases (default: by their version)').choices(states))
    .option('--notes <text>', 'notes to the releases')
    .action(importReleases)
}

async function importReleases(paths: string[], options: ImportCommandOptions): Promise<void> {
  const output = outputOf(options)
  const { importSources } = await import('@aloe/cloud')
  const catalogue = await openCatalogue(options)
  try {
    const entries: ImportEntry[] = []
    for await (const entry of importSources(paths)) entries.push(entry)
    const { release, state, notes } = options
    const fields = {
      from: paths.join(' ').slice(0, 500),
      ...(release !== undefined && { release: release.replace(/^v/, '') }),
      ...(state && { state }),
      ...(notes !== undefined && { notes }),
    }
    const report = await catalogue.import(entries, fields, (done) => output.progress('import', done, entries.length))
    output.endProgress()
    output.result({ ok: report.refused.length === 0, ...report }, (colors) => reportText(report, colors))
    failIfRefused(report)
  } finally {
    await catalogue.close()
  }
}

/** The files are listed already, the others are taken: the end of the command says that something is to be done. */
function failIfRefused({ imported, duplicates, refused }: ImportReport): void {
  if (refused.length > 0) {
    throw new CliError(`${count(refused.length, 'file')} could not be imported.`)
  }
  if (imported.length + duplicates.length === 0) {
    throw new CliError('There is no module of a Device OS release in what you gave.', { code: exitCode.usage })
  }
}

const shownLines = 50

function reportText({ imported, duplicates, skipped, refused }: ImportReport, colors: Colors): string {
  const lines: string[] = []
  for (const [release, modules] of Map.groupBy(imported, (module) => module.release)) {
    const platforms = [...Map.groupBy(modules, ({ platform }) => platform)]
    const what = platforms.map(([platform, list]) => `${platform} (${count(list.length, 'module')})`).join(', ')
    lines.push(`${colors.green('✔')} ${colors.bold(release)}  ${what}`)
  }
  if (duplicates.length > 0) lines.push(colors.dim(`  ${count(duplicates.length, 'module')} were there already`))
  for (const [reason, files] of Map.groupBy(skipped, (file) => file.reason)) {
    lines.push(colors.dim(`  ${count(files.length, 'file')} left out: ${reason}`))
  }
  const shown = refused.slice(0, shownLines)
  for (const { file, reason } of shown) lines.push(`${colors.red('✘')} ${printable(file)}: ${printable(reason)}`)
  if (refused.length > shown.length) lines.push(`  … and ${refused.length - shown.length} more (all with --json)`)
  return lines.join('\n')
}

export function listCommand(): Command {
  return catalogueCommand({
    usage: 'list',
    summary: 'list the releases that a cloud has',
    examples: [
      { line: 'aloe device-os list', what: 'newest first' },
      { line: 'aloe device-os list --platform boron', what: 'of one platform' },
    ],
  })
    .option('--platform <name>', 'releases of this platform only')
    .action(async (options: CatalogueCommandOptions) => {
      const catalogue = await openCatalogue(options, true)
      try {
        const list = await catalogue.list(options.platform)
        const output = outputOf(options)
        output.result(list.releases, (colors) => listText(list.releases, colors))
        for (const problem of list.problems) output.note(output.colors.yellow(printable(problem)))
        for (const { platform, module, size } of list.auxiliary) {
          output.note(output.colors.dim(`besides: ${module} for ${platform}, ${bytes(size)}`))
        }
      } finally {
        await catalogue.close()
      }
    })
}

function listText(releases: readonly ListedRelease[], colors: Colors): string {
  if (releases.length === 0) return 'There are no releases. Import some with: aloe device-os import FILE|DIR|ZIP'
  const rows = releases.map((release) => [
    release.version,
    String(release.system_version),
    release.state,
    release.platforms
      .map((platform) => (release.default_platforms.includes(platform) ? `${platform}*` : platform))
      .join(' '),
    printable([release.missing.length > 0 ? 'incomplete' : '', release.notes].filter((text) => text !== '').join('; ')),
  ])
  const text = table([['VERSION', 'MODULE VERSION', 'STATE', 'PLATFORMS (* default)', 'NOTES'], ...rows], colors)
  return text
}

export function showCommand(): Command {
  return catalogueCommand({
    usage: 'show <version>',
    summary: 'show a release: modules, dependencies, hashes, notes',
    examples: [{ line: 'aloe device-os show 6.2.0 --platform boron', what: 'of one platform' }],
  })
    .option('--platform <name>', 'of this platform only')
    .action(async (version: string, options: CatalogueCommandOptions) => {
      const catalogue = await openCatalogue(options)
      try {
        const releases = await catalogue.show(version, options.platform)
        outputOf(options).result(releases, (colors) => releases.map((one) => releaseText(one, colors)).join('\n\n'))
      } finally {
        await catalogue.close()
      }
    })
}

function releaseText(release: DescribedRelease, colors: Colors): string {
  const { version, platform, state, modules, notes, imported, missing } = release
  const head = [
    `${colors.bold(`Device OS ${version}`)} for ${colors.bold(platform)}: ${state}${release.default ? ', default' : ''}`,
    ...(imported ? [`  imported ${imported.last_at} from ${printable(imported.from)}`] : ['  came with the cloud']),
    ...(notes === '' ? [] : [`  notes: ${printable(notes)}`]),
    ...(missing.length === 0 ? [] : [colors.yellow(`  not here: ${missing.join(', ')}`)]),
  ]
  const rows = modules.map((module) => [
    `  ${module.function} ${module.index}@${module.version}`,
    bytes(module.size),
    module.dependencies.join(', ') || '-',
    module.sha256.slice(0, 16),
    module.filename,
  ])
  return `${head.join('\n')}\n${table([['  MODULE', 'SIZE', 'NEEDS', 'SHA-256', 'FILE'], ...rows], colors)}`
}

interface SetOptions extends CatalogueCommandOptions {
  readonly state?: StateWord
  readonly notes?: string
  readonly default?: boolean
  readonly allowPrerelease?: boolean
}

export function setCommand(): Command {
  return catalogueCommand({
    usage: 'set <version>',
    summary: 'set state, notes or the default of a release',
    examples: [
      { line: 'aloe device-os set 6.2.0 --state lts --notes "for the trucks"', what: 'on all its platforms' },
      { line: 'aloe device-os set 6.2.0 --platform boron --default', what: 'what Borons use when nothing is said' },
      { line: 'aloe device-os set 6.2.0 --platform boron --no-default', what: 'back to the newest' },
    ],
  })
    .option('--platform <name>', 'on this platform only')
    .addOption(new Option('--state <state>', 'its state').choices(states))
    .option('--notes <text>', 'what to know of it; an empty text removes the notes')
    .option('--default', 'make it the default')
    .option('--no-default', 'let the newest be the default again')
    .option('--allow-prerelease', 'also when it is a pre-release')
    .action(async (version: string, options: SetOptions) => {
      const { state, notes } = options
      if (state === undefined && notes === undefined && options.default === undefined) {
        throw new CliError('Say what to set: --state, --notes, --default or --no-default.', { code: exitCode.usage })
      }
      const catalogue = await openCatalogue(options)
      try {
        const releases = await catalogue.update(version, options.platform, {
          ...(state && { state }),
          ...(notes !== undefined && { notes }),
          ...(options.default !== undefined && { default: options.default }),
          allowPrerelease: options.allowPrerelease === true,
        })
        outputOf(options).result(releases, (colors) =>
          releases
            .map(
              (one) =>
                `${colors.green('✔')} ${one.version} for ${one.platform}: ${one.state}${one.default ? ', default' : ''}`,
            )
            .join('\n'),
        )
      } finally {
        await catalogue.close()
      }
    })
}

interface RemoveOptions extends CatalogueCommandOptions {
  readonly yes?: boolean
}

export function removeCommand(): Command {
  return catalogueCommand({
    usage: 'remove <version>',
    summary: 'remove an imported release',
    description:
      'Removes a release from the catalogue. Devices that run it go on; devices that need a module of it cannot be healed with it any more.',
    examples: [{ line: 'aloe device-os remove 6.3.0-rc.1 --platform argon', what: 'of one platform' }],
  })
    .option('--platform <name>', 'of this platform only')
    .option('--yes', 'without asking')
    .action(async (version: string, options: RemoveOptions) => {
      const where = options.platform === undefined ? 'all platforms' : options.platform
      if (options.yes !== true && !(await confirm(`Remove Device OS ${version} of ${where}`, '--yes'))) return
      const catalogue = await openCatalogue(options)
      try {
        const platforms = await catalogue.remove(version, options.platform)
        tellRemoved(outputOf(options), version, platforms)
      } finally {
        await catalogue.close()
      }
    })
}

function tellRemoved(output: Output, version: string, platforms: readonly string[]): void {
  output.result(
    { ok: true, version, platforms },
    (colors) => `${colors.green('✔')} Device OS ${version} is removed for ${platforms.join(', ')}`,
  )
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}
