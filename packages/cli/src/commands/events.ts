import { type Command, InvalidArgumentError } from 'commander'
import { type CloudClient, cloudError, connectAsUser } from '../cloud-client.ts'
import { type CommonOptions, cloudOption, makeCommand, outputOf } from '../command.ts'
import { openEvents } from '../event-stream.ts'
import { printable } from '../output.ts'

export function publishCommand(): Command {
  return makeCommand({
    usage: 'publish <name> [data]',
    summary: 'publish an event to your devices and streams',
    examples: [
      { line: 'aloe publish lights on', what: 'devices that subscribe to "lights" get "on"' },
      { line: 'aloe publish reload', what: 'an event without data' },
    ],
  })
    .addOption(cloudOption())
    .action(async (name: string, data: string | undefined, options: CommonOptions) => {
      const client = await connectAsUser(options)
      try {
        const { body } = await client.particle.publishEvent({
          name,
          ...(data !== undefined && { data }),
          isPrivate: true,
        })
        outputOf(options).result(body, (colors) => `${colors.green('✔')} published ${colors.bold(name)}`)
      } catch (error) {
        throw cloudError(error, client, `publish ${name}`)
      }
    })
}

interface SubscribeOptions extends CommonOptions {
  readonly device?: string
  readonly max?: number
  readonly until?: string
}

export function subscribeCommand(): Command {
  return makeCommand({
    usage: 'subscribe [prefix]',
    summary: 'watch events as they happen',
    description: 'Prints the events of your devices whose names start with the prefix, until you stop it with Ctrl+C.',
    examples: [
      { line: 'aloe subscribe', what: 'all events of your devices' },
      { line: 'aloe subscribe temp --device blinky', what: 'those of one device that start with "temp"' },
      { line: 'aloe subscribe --json --max 1', what: 'the next one as JSON, then end' },
      { line: 'aloe subscribe spark/status --until offline', what: 'end when an event has this data' },
    ],
  })
    .addOption(cloudOption())
    .option('--device <device>', 'only events of this device (name or id)')
    .option('--max <count>', 'end after so many events', positiveInteger)
    .option('--until <data>', 'end after an event with exactly this data')
    .action(subscribe)
}

async function subscribe(prefix: string | undefined, options: SubscribeOptions): Promise<void> {
  const output = outputOf(options)
  const client = await connectAsUser(options)
  const stream = await openStream(client, prefix, options.device)
  output.note(output.colors.dim('subscribed; Ctrl+C to stop'))
  for (let count = 1; ; count += 1) {
    const event = await stream.next()
    if (event === undefined) continue
    output.result(event, (colors) => {
      const time = colors.dim(event.published_at.slice(11, 23))
      const data = event.data === null ? '' : ` ${printable(event.data)}`
      return `${time} ${colors.bold(printable(event.name))}${data} ${colors.dim(event.coreid)}`
    })
    if (count === options.max || (options.until !== undefined && event.data?.trim() === options.until)) break
  }
  stream.close()
}

async function openStream(client: CloudClient, prefix: string | undefined, device: string | undefined) {
  try {
    return await openEvents(client, { deviceId: device ?? 'mine', ...(prefix !== undefined && { name: prefix }) })
  } catch (error) {
    throw cloudError(error, client, 'open the event stream')
  }
}

function positiveInteger(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('It must be a whole number from 1.')
  return value
}
