import {
  type CatalogueModule,
  type Link,
  linkOf,
  type PlanDocument,
  type Platform,
  parseSemver,
  planDocument,
  planDowngrade,
  planUpdate,
  releaseNeeds,
} from '@aloe/firmware'
import { type Command, InvalidArgumentError } from 'commander'
import { CliError, exitCode } from '../cli-error.ts'
import { cloudError, connectAsUser } from '../cloud-client.ts'
import { type CommonOptions, cloudOption, makeCommand, outputOf } from '../command.ts'
import { printable } from '../output.ts'
import { createPlanBatch, runPlanBatch } from '../plan-batch.ts'
import { readApplication, readCatalogue, readDescribe } from '../plan-files.ts'
import { obstaclesText, planText } from '../plan-text.ts'

interface PlanOptions extends CommonOptions {
  readonly device?: string
  readonly describe?: string
  readonly catalogue?: string
  readonly platform?: string
  readonly target?: string
  readonly app?: string
  readonly downgrade?: boolean
  readonly batch?: boolean
  readonly rate?: number
  readonly reset?: number
  readonly combine?: boolean
  readonly compress?: boolean
}

export function planCommand(): Command {
  return makeCommand({
    usage: 'plan',
    summary: 'show what an update would take, without doing it',
    description:
      'Prints which modules a device would get, in which order and why, with bytes, resets and time: to heal it, to bring it to a Device OS (--target) or to run an application (--app). For a device of the cloud, or without any cloud for a describe and a catalogue in files. Ends with code 1 when there is no plan.',
    examples: [
      { line: 'aloe plan --device blinky', what: 'what healing would send now' },
      { line: 'aloe plan --device blinky --target 2.0.0', what: 'to Device OS 2.0.0' },
      { line: 'aloe plan --device blinky --app blinky.bin', what: 'to this application' },
      { line: 'aloe plan --device blinky --target 1.0.0 --downgrade', what: 'back to an older one' },
      { line: 'aloe plan --describe boron.json --catalogue releases.json', what: 'offline' },
      {
        line: 'aloe plan --batch --catalogue releases.json < questions',
        what: 'a JSON object a line, an answer a line',
      },
    ],
  })
    .addOption(cloudOption())
    .option('--device <device>', 'a device of the cloud, by name or id')
    .option('--describe <file>', 'a device from a file')
    .option('--catalogue <file>', 'the releases, from a file (with --describe and --batch)')
    .option('--platform <name>', 'platform of the device in the file')
    .option('--target <version>', 'Device OS that the device shall run')
    .option('--app <file>', 'application (.bin, or .zip with assets) that it shall run')
    .option('--downgrade', 'go back to an older --target')
    .option('--rate <bytes>', "bytes a second on the device's link (default: by its kind of network)", positive)
    .option('--reset <seconds>', 'seconds from the end of a transfer until the device is back', positive)
    .option('--combine', 'send application and system part as one file where the device takes that')
    .option('--compress', 'send compressed files where the device takes them')
    .option('--batch', 'answer questions from standard input')
    .action(plan)
}

async function plan(options: PlanOptions): Promise<void> {
  const ways = [options.device, options.describe, options.batch].filter((way) => way !== undefined)
  if (ways.length !== 1) {
    throw new CliError('Say what to plan for: --device, --describe or --batch.', { code: exitCode.usage })
  }
  if (options.downgrade && options.target === undefined) {
    throw new CliError('--downgrade needs the --target to go back to.', { code: exitCode.usage })
  }
  if (options.batch) return await batch(options)
  const { document, name, extra } =
    options.device !== undefined ? await online(options.device, options) : await offline(options)
  const output = outputOf(options)
  const result = { ...extra, ...document }
  const prereleases = prereleasesOf(extra, document)
  if (prereleases.length > 0) {
    const releases = prereleases.map(printable).join(', ')
    output.note(output.colors.yellow(`This plan brings a pre-release or preview of the Device OS: ${releases}`))
  }
  if (document.ok) return output.result(result, (colors) => planText(document, name, colors))
  // With --json the answer is on standard output either way.
  output.result(result, () => '')
  const hint = obstaclesText(document)
  throw new CliError(`There is no plan for ${name}: ${printable(document.reason)}`, { ...(hint && { hint }) })
}

/** As the cloud says it, which knows the states of its releases; offline by the versions. */
function prereleasesOf(extra: object, document: PlanDocument): string[] {
  if ('prereleases' in extra && Array.isArray(extra.prereleases)) return extra.prereleases.map(String)
  if (!document.ok) return []
  const releases = document.steps.flatMap((step) =>
    step.kind === 'module' && step.release !== null ? [step.release] : [],
  )
  return [...new Set(releases)].filter((version) => (parseSemver(version)?.prerelease.length ?? 0) > 0)
}

interface Planned {
  readonly document: PlanDocument
  readonly name: string
  readonly extra: object
}

async function batch(options: PlanOptions): Promise<void> {
  // Whoever reads the answers may have enough of them.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCode.ok)
    throw error
  })
  await runPlanBatch(process.stdin, process.stdout, createPlanBatch(await catalogueOf(options)))
}

async function offline(options: PlanOptions): Promise<Planned> {
  const catalogue = await catalogueOf(options)
  const device = await readDescribe(options.describe ?? '', catalogue, options.platform)
  const { platform, describe } = device
  const application = options.app === undefined ? undefined : await readApplication(options.app)
  const request = {
    link: linkFor(platform, options),
    combine: options.combine === true,
    compress: options.compress === true,
    ...(application && { application }),
  }
  const { target } = options
  const extra = { platform: platform.name, target: target ?? null }
  const name = `${platform.displayName} of ${options.describe}`
  if (options.downgrade && target !== undefined) {
    const downgrade = planDowngrade(platform, describe, catalogue, { ...request, release: target })
    return { document: planDocument(downgrade), name, extra }
  }
  const needs = [...device.needs, ...(target === undefined ? [] : needsOf(platform, target, catalogue))]
  return { document: planDocument(planUpdate(platform, describe, catalogue, { ...request, needs })), name, extra }
}

function needsOf(platform: Platform, target: string, catalogue: readonly CatalogueModule[]) {
  const needs = releaseNeeds(platform, target, catalogue)
  if (needs) return needs
  throw new CliError(`There is no Device OS ${target} for ${platform.name} in the catalogue.`, { code: exitCode.usage })
}

async function catalogueOf({ catalogue }: PlanOptions): Promise<CatalogueModule[]> {
  if (catalogue !== undefined) return await readCatalogue(catalogue)
  throw new CliError('Name the releases with --catalogue FILE.', { code: exitCode.usage })
}

function linkFor(platform: Platform, { rate, reset }: PlanOptions): Link {
  const link = linkOf(platform)
  return { ...link, bytesPerSecond: rate ?? link.bytesPerSecond, resetSeconds: reset ?? link.resetSeconds }
}

/** The cloud plans with its own catalogue and the device's last describe, as its healer does. */
async function online(device: string, options: PlanOptions): Promise<Planned> {
  const application = options.app === undefined ? undefined : await readApplication(options.app)
  const client = await connectAsUser(options)
  const data = {
    target: options.target,
    downgrade: options.downgrade,
    bytes_per_second: options.rate,
    reset_seconds: options.reset,
    combine: options.combine,
    compress: options.compress,
    ...(application && {
      application: {
        index: application.index,
        version: application.version,
        dependencies: application.dependencies,
        hash: application.hash,
        size: application.size,
        assets: application.assetDependencies,
      },
    }),
  }
  try {
    const uri = `/v1/devices/${encodeURIComponent(device)}/aloe/plan`
    const { body } = await client.particle.post({ uri, data, ...(client.token && { auth: client.token }) })
    const { device_id, platform_id, platform, target, prereleases, ...document } = body as PlanDocument &
      Record<string, unknown>
    const extra = { device_id, platform_id, platform, target, ...(prereleases !== undefined && { prereleases }) }
    return { document: document as PlanDocument, name: device, extra }
  } catch (error) {
    throw cloudError(error, client, `plan for ${device}`)
  }
}

function positive(text: string): number {
  const value = Number(text)
  if (!(value > 0 && value < 1e12)) throw new InvalidArgumentError('It must be a positive number.')
  return value
}
