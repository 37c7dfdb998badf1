import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { CliError, exitCode, messageOf } from '../cli-error.ts'
import { cloudError, connectAsUser } from '../cloud-client.ts'
import { type CommonOptions, cloudOption, makeCommand, outputOf } from '../command.ts'
import { openEvents } from '../event-stream.ts'
import { type Output, printable } from '../output.ts'
import { planText } from '../plan-text.ts'
import { allowPrereleaseFlag, guardPrerelease } from '../prerelease-guard.ts'
import { confirm } from '../prompt.ts'
import { type Preview, UpdateClient, type UpdateJob, type UpdateOrder } from '../update-client.ts'
import { costText } from '../update-text.ts'
import { watchUpdate } from '../watch-update.ts'
import { cancelCommand, dataCommand, policyCommand, statusCommand, watchCommand } from './update-parts.ts'

interface ChangeOptions extends CommonOptions {
  readonly target?: string
  readonly product?: string
  readonly app?: string
  readonly yes?: boolean
  readonly force?: boolean
  readonly allowPrerelease?: boolean
  readonly wait: boolean
  readonly timeout: number
}

const productOption = () => new Option('--product <product>', 'the product that the device belongs to, by slug or id')

export function updateCommand(): Command {
  const command = makeCommand({
    usage: 'update [device]',
    summary: 'bring a device to a Device OS; watch and stop updates',
    description:
      'Shows what an update of the Device OS would send, asks, and does it: module by module, each after a reset. A device that is offline gets it when it connects. The parts of this command show, watch and stop updates of any kind, and say when they may happen.',
    examples: [
      { line: 'aloe update blinky --target 2.0.0', what: 'preview, ask, update, watch' },
      { line: 'aloe update blinky --target latest --yes --no-wait', what: 'without asking and waiting' },
      { line: 'aloe update status blinky', what: 'its updates' },
      { line: 'aloe update watch blinky', what: 'the one that is under way' },
      { line: 'aloe update cancel blinky', what: 'stop it' },
      { line: 'aloe update policy blinky --hours "22:00-06:00 Europe/Berlin"', what: 'only at night' },
      { line: 'aloe update data blinky', what: 'bytes of updates and messages, by month' },
    ],
  })
  return (
    shared(command)
      // Options after a part are that part's.
      .enablePositionalOptions()
      .action(async (device: string | undefined, options: ChangeOptions) => {
        if (device === undefined || options.target === undefined) {
          throw new CliError(
            'Say which device and --target to update to, or one of status, watch, cancel, policy, data.',
            {
              code: exitCode.usage,
            },
          )
        }
        await change(device, { target: options.target }, options)
      })
      .addCommand(statusCommand())
      .addCommand(watchCommand())
      .addCommand(cancelCommand())
      .addCommand(policyCommand())
      .addCommand(dataCommand())
  )
}

export function downgradeCommand(): Command {
  const command = makeCommand({
    usage: 'downgrade <device>',
    summary: 'take a device back to an older Device OS',
    description:
      'Shows what a downgrade would send, asks, and does it in one go: the application first, then the parts of the Device OS in reverse. Refused where the device would be left without something that it needs; an application that needs the newer Device OS must come with an older one (--app).',
    examples: [
      { line: 'aloe downgrade blinky --target 1.0.0', what: 'preview, ask, do it, watch' },
      { line: 'aloe downgrade blinky --target 1.0.0 --app old.bin', what: 'with an application for it' },
    ],
  })
  return shared(command)
    .option('--app <file>', 'an application for the older Device OS (.bin, or .zip with assets)')
    .action(async (device: string, options: ChangeOptions) => {
      if (options.target === undefined) {
        throw new CliError('Say the --target to go back to.', { code: exitCode.usage })
      }
      const file = options.app === undefined ? undefined : await readApplication(options.app)
      await change(device, { target: options.target, downgrade: true, ...(file && { file }) }, options)
    })
}

function shared(command: Command): Command {
  return command
    .addOption(cloudOption())
    .addOption(productOption())
    .option('--target <version>', 'Device OS release, or latest')
    .option('-y, --yes', 'do not ask')
    .option('--force', 'also when the update policy of the device holds it back')
    .option(allowPrereleaseFlag, 'also to a pre-release of the Device OS')
    .option('--no-wait', 'do not wait for it to be done')
    .option('--timeout <seconds>', 'how long to wait', seconds, 3_600)
}

async function change(device: string, order: UpdateOrder, options: ChangeOptions): Promise<void> {
  const output = outputOf(options)
  const client = await connectAsUser(options)
  const updates = new UpdateClient(client, device, options.product)
  const preview = await updates.preview(order)
  showPreview(preview, device, order, output)
  await guardPrerelease(client, device, { target: order.target }, options.allowPrerelease === true, output)
  if (options.yes !== true && !(await confirm(`${order.downgrade ? 'Take it back' : 'Update it'}`, '--yes'))) {
    throw new CliError('Nothing was done.', { code: exitCode.failed })
  }
  const began = Date.now()
  const events = options.wait
    ? await openEvents(client, { deviceId: device }).catch((error: unknown) => {
        throw cloudError(error, client, `watch ${device}`)
      })
    : undefined
  try {
    const job = await updates.start({ ...order, ...(options.force && { force: true }) })
    const ended = events && (await watchUpdate(updates, job.id, events, output, began + options.timeout * 1_000))
    report(output, device, ended ?? job, Date.now() - began)
  } finally {
    events?.close()
  }
}

function showPreview(
  { plan, cost, held, metered, online }: Preview,
  device: string,
  order: UpdateOrder,
  output: Output,
) {
  if (!plan.ok) throw new CliError(`There is no way to ${order.target} for ${device}: ${printable(plan.reason)}`)
  if (plan.steps.length === 0) throw new CliError(`${device} needs nothing: it has Device OS ${order.target} or newer.`)
  output.note(planText(plan, device, output.colors))
  if (metered && cost) output.note(output.colors.yellow(`its data is metered: ${costText(cost)}`))
  if (!online) output.note(output.colors.yellow('it is offline: it is updated when it connects'))
  if (held) output.note(output.colors.yellow(`its policy holds it back at present: ${printable(held.reason)}`))
}

function report(output: Output, device: string, job: UpdateJob, duration: number): void {
  const value = { ok: true, device, waited: job.state === 'done', duration, job }
  output.result(value, (colors) => {
    if (job.state !== 'done') return `${colors.green('✔')} queued as ${job.id}: aloe update watch ${device}`
    const { sent, bytes: count, resets } = job
    const cost = costText({ modules: sent.length, bytes: count, resets, seconds: duration / 1_000 })
    return `${colors.green('✔')} ${colors.bold(device)} has Device OS ${printable(job.target ?? '')} (${cost})`
  })
}

async function readApplication(path: string): Promise<[string, Buffer]> {
  const content = await readFile(path).catch((error: unknown) => {
    throw new CliError(`${path} cannot be read: ${messageOf(error)}`, { code: exitCode.usage })
  })
  return [basename(path), content]
}

export function seconds(text: string): number {
  const value = Number(text)
  if (!(value > 0 && value < 1e6)) throw new InvalidArgumentError('It must be a number of seconds.')
  return value
}
