/** The parts of `aloe update` that show, watch and stop updates, and say when they may happen. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { CliError, exitCode } from '../cli-error.ts'
import { cloudError, connectAsUser } from '../cloud-client.ts'
import { type CommonOptions, cloudOption, makeCommand, outputOf } from '../command.ts'
import { openEvents } from '../event-stream.ts'
import { askCloud, overStates, policyPath, UpdateClient, type UpdateJob } from '../update-client.ts'
import { dataText, jobsText, jobText, stateText, timelineText } from '../update-text.ts'
import { watchUpdate } from '../watch-update.ts'

interface PartOptions extends CommonOptions {
  readonly product?: string
  readonly group?: string
  readonly timeout: number
}

const productOption = () => new Option('--product <product>', 'the product that it belongs to, by slug or id')

export function statusCommand(): Command {
  return makeCommand({
    usage: 'status <device> [update]',
    summary: 'the updates of a device, or one with its timeline',
    examples: [
      { line: 'aloe update status blinky', what: 'newest first' },
      { line: 'aloe update status blinky 3f2a', what: 'one of them, step by step' },
    ],
  })
    .addOption(cloudOption())
    .addOption(productOption())
    .action(async (device: string, update: string | undefined, options: PartOptions) => {
      const updates = new UpdateClient(await connectAsUser(options), device, options.product)
      const output = outputOf(options)
      const listed = await updates.jobs()
      if (update === undefined) {
        output.result(listed, (colors) => jobsText(listed.jobs, colors))
        return
      }
      const found = await updates.job(oneOf(listed.jobs, update).id)
      output.result(found, (colors) => {
        const { job, timeline } = found
        const next = job.next === null ? '' : `\n${job.next}`
        return `${colors.bold(jobText(job))}: ${stateText(job, colors)}${next}\n${timelineText(timeline, colors)}`
      })
    })
}

export function watchCommand(): Command {
  return makeCommand({
    usage: 'watch <device>',
    summary: 'watch the update that is under way, to its end',
    examples: [{ line: 'aloe update watch blinky', what: 'with a progress bar' }],
  })
    .addOption(cloudOption())
    .addOption(productOption())
    .option('--timeout <seconds>', 'how long to watch', seconds, 3_600)
    .action(async (device: string, options: PartOptions) => {
      const client = await connectAsUser(options)
      const updates = new UpdateClient(client, device, options.product)
      const output = outputOf(options)
      const events = await openEvents(client, { deviceId: device }).catch((error: unknown) => {
        throw cloudError(error, client, `watch ${device}`)
      })
      try {
        const open = openJob((await updates.jobs()).jobs, device)
        output.note(`${jobText(open)}: ${stateText(open, output.colors)}`)
        const job = await watchUpdate(updates, open.id, events, output, Date.now() + options.timeout * 1_000)
        output.result({ ok: true, job }, (colors) => `${colors.green('✔')} ${jobText(job)}: done`)
      } finally {
        events.close()
      }
    })
}

export function cancelCommand(): Command {
  return makeCommand({
    usage: 'cancel <device> [update]',
    summary: 'stop an update',
    description:
      'Stops the update that is under way or waits, or the one that is named. What the device has taken already it installs; nothing more is sent.',
    examples: [{ line: 'aloe update cancel blinky', what: 'the one that is under way' }],
  })
    .addOption(cloudOption())
    .addOption(productOption())
    .action(async (device: string, update: string | undefined, options: PartOptions) => {
      const updates = new UpdateClient(await connectAsUser(options), device, options.product)
      const { jobs } = await updates.jobs()
      const job = await updates.cancel((update === undefined ? openJob(jobs, device) : oneOf(jobs, update)).id)
      outputOf(options).result({ ok: true, job }, (colors) => `${colors.green('✔')} stopped: ${jobText(job)}`)
    })
}

export function dataCommand(): Command {
  return makeCommand({
    usage: 'data [device]',
    summary: 'bytes of updates and of messages, by month',
    examples: [
      { line: 'aloe update data blinky', what: 'of a device' },
      { line: 'aloe update data --product lamps', what: 'of all devices of a product' },
    ],
  })
    .addOption(cloudOption())
    .addOption(productOption())
    .action(async (device: string | undefined, options: PartOptions) => {
      const client = await connectAsUser(options)
      const { product } = options
      if (device === undefined && product === undefined) {
        throw new CliError('Say a device, or a --product.', { code: exitCode.usage })
      }
      const path = `/v1/products/${encodeURIComponent(product ?? '')}/aloe/data`
      const found =
        device === undefined
          ? ((await askCloud(client, 'get', path, `read the data of ${product}`)) as Awaited<
              ReturnType<UpdateClient['data']>
            >)
          : await new UpdateClient(client, device, product).data()
      outputOf(options).result(found, (colors) => dataText(found.months, colors))
    })
}

interface PolicyOptions extends PartOptions {
  readonly hours?: string[]
  readonly battery?: number
  readonly consent?: boolean
  readonly lockDeviceOs?: boolean
  readonly lockApplication?: boolean
  readonly metered?: boolean
  readonly budget?: number
  readonly totalBudget?: number
  readonly clear?: boolean
}

export function policyCommand(): Command {
  return makeCommand({
    usage: 'policy [device]',
    summary: 'when and what a device, a group or a product may be updated to',
    description:
      "Shows the policy, or replaces what is given. The device's word counts before its groups', theirs before the product's. Hours are START-END ZONE [DAYS], with an IANA time zone.",
    examples: [
      { line: 'aloe update policy blinky', what: 'show it' },
      { line: 'aloe update policy blinky --hours "22:00-06:00 Europe/Berlin sat,sun"', what: 'weekend nights' },
      { line: 'aloe update policy --product lamps --lock-device-os', what: 'no Device OS changes' },
      { line: 'aloe update policy --product lamps --group attic --battery 40 --consent', what: 'for a group' },
      { line: 'aloe update policy blinky --budget 5000000', what: 'bytes of updates a month, where data is metered' },
      { line: 'aloe update policy blinky --clear', what: 'none of its own' },
    ],
  })
    .addOption(cloudOption())
    .addOption(productOption())
    .option('--group <group>', 'a group of the product')
    .option('--hours <hours...>', 'when updates may happen; "any" for at any time')
    .option('--battery <percent>', 'only with so much battery', number)
    .option('--consent', 'ask the application first (its function mayUpdate)')
    .option('--no-consent', 'do not ask it')
    .option('--lock-device-os', 'no Device OS changes')
    .option('--no-lock-device-os', 'Device OS changes')
    .option('--lock-application', 'no changes of the application')
    .option('--no-lock-application', 'changes of the application')
    .option('--metered', 'data costs money there')
    .option('--no-metered', 'data is free there')
    .option('--budget <bytes>', 'updates of each device in a month', number)
    .option('--total-budget <bytes>', 'updates of all devices together in a month', number)
    .option('--clear', 'no policy of its own')
    .action(policy)
}

async function policy(device: string | undefined, options: PolicyOptions): Promise<void> {
  const client = await connectAsUser(options)
  const { product, group } = options
  const path = policyPath({
    ...(device !== undefined && { device }),
    ...(product !== undefined && { product }),
    ...(group !== undefined && { group }),
  })
  const what = `read the policy of ${device ?? group ?? product}`
  const before = (await askCloud(client, 'get', path, what)) as { policy: Record<string, unknown> }
  const change = changesOf(options)
  const changed = options.clear === true || Object.keys(change).length > 0
  const data = options.clear === true ? change : { ...withoutNull(before.policy), ...change }
  const shown = changed ? await askCloud(client, 'put', path, 'set the policy', { data }) : before
  outputOf(options).result(shown, (colors) => policyText(shown as { policy: object; effective?: object }, colors.dim))
}

function changesOf(options: PolicyOptions): Record<string, unknown> {
  const { hours, battery, consent, lockDeviceOs, lockApplication, metered, budget, totalBudget } = options
  return {
    ...(hours && { windows: hours.length === 1 && hours[0] === 'any' ? [] : hours.map(readHours) }),
    ...(battery !== undefined && { minimum_battery: battery }),
    ...(consent !== undefined && { consent }),
    ...(lockDeviceOs !== undefined && { device_os: !lockDeviceOs }),
    ...(lockApplication !== undefined && { application: !lockApplication }),
    ...(metered !== undefined && { metered }),
    ...(budget !== undefined && { device_data_budget: budget }),
    ...(totalBudget !== undefined && { data_budget: totalBudget }),
  }
}

function readHours(text: string): object {
  const match = /^(\d\d:\d\d)-(\d\d:\d\d)\s+(\S+)(?:\s+(\S+))?$/.exec(text.trim())
  if (!match) {
    throw new CliError(
      `${JSON.stringify(text)} are no hours; they look like this: "22:00-06:00 Europe/Berlin sat,sun"`,
      {
        code: exitCode.usage,
      },
    )
  }
  const [, from, to, zone, days] = match
  return { from, to, zone, ...(days !== undefined && { days: days.split(',') }) }
}

function withoutNull(policy: Record<string, unknown>): Record<string, unknown> {
  // A budget of null is a word of its own: no limit.
  return Object.fromEntries(Object.entries(policy).filter(([name, value]) => value !== null || name.endsWith('budget')))
}

function policyText({ policy: own, effective }: { policy: object; effective?: object }, dim: (text: string) => string) {
  const lines = Object.entries(own).map(([name, value]) => {
    const holds = effective && name in effective ? ` ${dim(`(holds: ${word(Object.entries(effective), name)})`)}` : ''
    return `${name.padEnd(20)} ${value === null ? dim('not set') : JSON.stringify(value)}${holds}`
  })
  return lines.join('\n')
}

function word(entries: readonly [string, unknown][], name: string): string {
  const value = entries.find(([other]) => other === name)?.[1]
  return value === null ? 'by the platform' : JSON.stringify(value)
}

function openJob(jobs: readonly UpdateJob[], device: string): UpdateJob {
  const open = jobs.find(({ state }) => !overStates.includes(state))
  if (open) return open
  throw new CliError(`No update of ${device} is under way.`, {
    hint: `See the last ones: aloe update status ${device}`,
  })
}

function oneOf(jobs: readonly UpdateJob[], id: string): UpdateJob {
  const found = jobs.filter((job) => job.id.startsWith(id))
  const [job] = found
  if (job && found.length === 1) return job
  throw new CliError(found.length > 1 ? `More than one update begins with ${id}.` : `There is no update ${id}.`)
}

function number(text: string): number {
  const value = Number(text)
  if (!Number.isFinite(value) || value < 0) throw new InvalidArgumentError('It must be a number, 0 or more.')
  return value
}

function seconds(text: string): number {
  const value = Number(text)
  if (!(value > 0 && value < 1e6)) throw new InvalidArgumentError('It must be a number of seconds.')
  return value
}
