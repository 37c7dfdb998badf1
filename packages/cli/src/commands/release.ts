import { type Command, InvalidArgumentError } from 'commander'
import { CliError } from '../cli-error.ts'
import { connectAsUser } from '../cloud-client.ts'
import { type CommonOptions, cloudOption, makeCommand, makeGroup, outputOf } from '../command.ts'
import { type Output, printable } from '../output.ts'
import { confirm } from '../prompt.ts'
import { ReleaseClient, type ReleaseOrder, type Rollout } from '../release-client.ts'
import { count, previewText, rolloutText, stateText } from '../release-text.ts'

export function releaseCommand(): Command {
  return makeGroup('release', "bring a product's firmware to its devices", [
    previewCommand(),
    createCommand(),
    watchCommand(),
    listCommand(),
    steerCommand('pause', 'begin with no more devices', 'What is being sent goes on to its end.'),
    steerCommand('resume', 'go on after a pause, or after it halted itself', 'Goes on with the devices that wait.'),
    steerCommand('stop', 'end it for good', 'Devices that have not begun keep what they run, until a new release.'),
    steerCommand('retry', 'try the devices again that failed', 'Also goes on with a release that halted itself.'),
  ])
}

interface OrderOptions extends CommonOptions {
  readonly group?: string[]
  readonly default?: boolean
  readonly intelligent?: boolean
  readonly yes?: boolean
  readonly wait?: boolean
}

function previewCommand(): Command {
  return order({
    usage: 'preview <product> <version>',
    summary: 'what a release would do, without doing it',
    description:
      'Says which devices would get the version and when, what is sent to them with how many resets and bytes, and who does not get it and why.',
    examples: [
      { line: 'aloe release preview lamps 3', what: 'to all devices' },
      { line: 'aloe release preview lamps 3 --group attic --intelligent', what: 'to a group, at once' },
    ],
  }).action(async (product: string, version: number, options: OrderOptions) => {
    const releases = new ReleaseClient(await connectAsUser(options), product)
    const preview = await releases.preview(orderOf(version, options))
    outputOf(options).result(preview, (colors) => previewText(preview, colors))
  })
}

function createCommand(): Command {
  return order({
    usage: 'create <product> <version>',
    summary: 'release a version to all devices, or to groups',
    description:
      'Shows what the release would do, asks, and releases the version: devices get it when they connect next, or at once with --intelligent.',
    examples: [
      { line: 'aloe release create lamps 3', what: 'to all devices, when they connect next' },
      { line: 'aloe release create lamps 3 --group attic --intelligent', what: 'to a group, at once' },
      { line: 'aloe release create lamps 3 --yes --wait', what: 'without a question; watch it' },
    ],
  })
    .option('-y, --yes', 'do not ask')
    .option('--wait', 'watch it until it is complete')
    .action(async (product: string, version: number, options: OrderOptions) => {
      const output = outputOf(options)
      const releases = new ReleaseClient(await connectAsUser(options), product)
      const wanted = orderOf(version, options)
      const preview = await releases.preview(wanted)
      output.note(previewText(preview, output.colors))
      if (options.yes !== true && !(await confirm(`Release version ${version}`, '--yes'))) {
        throw new CliError('Nothing was released.')
      }
      await releases.release(wanted)
      const rollout = (await releases.rollouts()).find((each) => each.version === version)
      if (!rollout) throw new CliError('The release is not in the list.')
      const last = options.wait === true ? await watch(releases, rollout, output, Number.POSITIVE_INFINITY) : rollout
      output.result(last, (colors) => `${colors.green('✔')} ${rolloutText(last, colors)}`)
    })
}

interface WatchOptions extends CommonOptions {
  readonly timeout: number
}

function watchCommand(): Command {
  return makeCommand({
    usage: 'watch <product> [release]',
    summary: 'watch a release until it is complete',
    examples: [{ line: 'aloe release watch lamps', what: 'the one that goes on; a version or id names another' }],
  })
    .addOption(cloudOption())
    .option('--timeout <seconds>', 'how long to watch', seconds, 24 * 3_600)
    .action(async (product: string, release: string | undefined, options: WatchOptions) => {
      const releases = new ReleaseClient(await connectAsUser(options), product)
      const output = outputOf(options)
      const rollout = oneOf(await releases.rollouts(), release)
      const last = await watch(releases, rollout, output, Date.now() + options.timeout * 1_000)
      output.result(last, (colors) => rolloutText(last, colors))
    })
}

function listCommand(): Command {
  return makeCommand({
    usage: 'list <product> [release]',
    summary: 'list releases, or the devices of one that failed or are held',
    examples: [
      { line: 'aloe release list lamps', what: 'newest first' },
      { line: 'aloe release list lamps 3 --state failed', what: 'devices that failed, and why' },
    ],
  })
    .addOption(cloudOption())
    .option('--state <state>', 'waiting, queued, updating, held, healing, retrying, failed or done')
    .action(
      async (product: string, release: string | undefined, options: CommonOptions & { readonly state?: string }) => {
        const releases = new ReleaseClient(await connectAsUser(options), product)
        const output = outputOf(options)
        const rollouts = await releases.rollouts()
        if (release === undefined) {
          output.result(rollouts, (colors) => {
            if (rollouts.length === 0)
              return 'Nothing was released yet. Begin with: aloe release preview <product> <version>'
            return rollouts.map((rollout) => rolloutText(rollout, colors)).join('\n')
          })
          return
        }
        const rollout = oneOf(rollouts, release)
        const { devices, meta } = await releases.devices(rollout.id, options.state)
        output.result({ rollout, devices, total: meta.total }, (colors) => {
          const lines = devices.map(({ id, state, reason, next }) => {
            const why = reason === null ? '' : `  ${printable(reason)}`
            return `${id}  ${state.padEnd(8)}${why}${next === null ? '' : colors.dim(`  ${printable(next)}`)}`
          })
          const more = meta.total > devices.length ? [colors.dim(`and ${meta.total - devices.length} more`)] : []
          return [rolloutText(rollout, colors), ...lines, ...more].join('\n')
        })
      },
    )
}

function steerCommand(what: 'pause' | 'resume' | 'stop' | 'retry', summary: string, description: string): Command {
  return makeCommand({
    usage: `${what} <product> [release]`,
    summary,
    description,
    examples: [{ line: `aloe release ${what} lamps`, what: 'the one that goes on; a version or id names another' }],
  })
    .addOption(cloudOption())
    .action(async (product: string, release: string | undefined, options: CommonOptions) => {
      const releases = new ReleaseClient(await connectAsUser(options), product)
      const { rollout, retried } = await releases.steer(oneOf(await releases.rollouts(), release).id, what)
      outputOf(options).result({ ok: true, rollout, ...(retried !== undefined && { retried }) }, (colors) => {
        const again = retried === undefined ? '' : `${count(retried, 'device')} again\n`
        return `${again}${colors.green('✔')} ${rolloutText(rollout, colors)}`
      })
    })
}

/** A look every so many milliseconds: from the cloud's memory. */
const lookEvery = 1_000

async function watch(releases: ReleaseClient, first: Rollout, output: Output, deadline: number): Promise<Rollout> {
  let told = ''
  for (let rollout = first; ; rollout = await releases.rollout(first.id)) {
    const { total = 0, done = 0, failed = 0 } = rollout.devices
    output.progress(`version ${rollout.version}`, done + failed, total)
    const over = rollout.complete || ['stopped', 'superseded', 'halted'].includes(rollout.state)
    const state = `${stateText(rollout, output.colors)}${rollout.reason === null ? '' : `: ${printable(rollout.reason)}`}`
    if (told !== '' && told !== state) {
      output.endProgress()
      output.note(state)
    }
    told = state
    if (over || Date.now() > deadline) {
      output.endProgress()
      return rollout
    }
    await new Promise((resolve) => setTimeout(resolve, lookEvery))
  }
}

/** By version or the beginning of its id; else the newest that goes on, else the newest. */
function oneOf(rollouts: readonly Rollout[], named: string | undefined): Rollout {
  const found =
    named === undefined
      ? (rollouts.find(({ state }) => ['running', 'paused', 'halted'].includes(state)) ?? rollouts[0])
      : rollouts.find(({ id, version }) => String(version) === named || (named.length >= 4 && id.startsWith(named)))
  if (found) return found
  throw new CliError(named === undefined ? 'Nothing was released yet.' : `There is no release ${named}.`)
}

function order(text: Parameters<typeof makeCommand>[0]): Command {
  const { usage, ...rest } = text
  return makeCommand({ usage: usage.replace(' <version>', ''), ...rest })
    .argument('<version>', 'of the firmware', wholeNumber)
    .addOption(cloudOption())
    .option('--group <group...>', 'to these groups')
    .option('--default', 'to all devices; so without --group')
    .option('--intelligent', 'at once to devices that are online')
}

function orderOf(version: number, { group, default: all, intelligent }: OrderOptions): ReleaseOrder {
  const toAll = all === true || group === undefined
  return {
    version,
    ...(toAll && { product_default: true }),
    ...(group && { groups: group }),
    ...(intelligent && { intelligent: true }),
  }
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  throw new InvalidArgumentError('It must be a whole number.')
}

function seconds(text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new InvalidArgumentError('It must be a number of seconds.')
  return value
}
