import { readFile } from 'node:fs/promises'
import { type Command, InvalidArgumentError } from 'commander'
import { CliError, exitCode, messageOf } from '../cli-error.ts'
import { type CloudClient, cloudError, connectAsUser } from '../cloud-client.ts'
import { type CommonOptions, cloudOption, makeCommand, makeGroup, outputOf } from '../command.ts'
import { printable, table } from '../output.ts'

interface WebhookOptions extends CommonOptions {
  /** Id or slug. */
  readonly product?: string
}

/** What the cloud says of a webhook (docs/webhooks.md). */
interface Webhook {
  readonly id: string
  readonly event: string
  readonly url: string
  readonly requestType: string
  readonly deviceID?: string
  readonly disabled: boolean
  readonly counters?: readonly { date: string; success: number; error: number; sleep: number }[]
  readonly logs?: readonly { time: string; type: string; event: { name: string }; response: string }[]
  readonly queue?: { readonly waiting: number; readonly dead_letters: number }
}

interface DeadLetter {
  readonly id: string
  readonly event: string
  readonly data: string | null
  readonly attempts: number
  readonly error: string
  readonly died_at: string
}

export function webhookCommand(): Command {
  return makeGroup('webhook', 'send events to web servers', [
    listCommand(),
    createCommand(),
    showCommand(),
    testCommand(),
    deleteCommand(),
    deadLettersCommand(),
    replayCommand(),
  ])
}

function listCommand(): Command {
  return webhook({
    usage: 'list',
    summary: 'list your webhooks, or those of a product',
    examples: [
      { line: 'aloe webhook list', what: 'yours' },
      { line: 'aloe webhook list --product thermostat', what: 'those of a product' },
    ],
  }).action(async (options: WebhookOptions) => {
    const hooks = (await ask(options, 'list the webhooks', ({ particle }) =>
      particle.listIntegrations(ofProduct(options)),
    )) as Webhook[]
    outputOf(options).result(hooks, (colors) => {
      if (hooks.length === 0) return 'There are no webhooks yet. Make one with: aloe webhook create <event> <url>'
      const rows = hooks.map((hook) => [
        hook.id,
        printable(hook.event),
        hook.disabled ? 'disabled' : hook.requestType,
        printable(hook.url),
        hook.deviceID ?? 'all devices',
      ])
      return table([['ID', 'EVENT', 'REQUEST', 'URL', 'DEVICE'], ...rows], colors)
    })
  })
}

interface CreateOptions extends WebhookOptions {
  readonly device?: string
  readonly method?: string
  readonly file?: string
  readonly header?: Record<string, string>
  readonly body?: string
  readonly jsonBody?: Record<string, unknown>
}

function createCommand(): Command {
  return webhook({
    usage: 'create [event] [url]',
    summary: 'send events whose names begin with this to a URL',
    description:
      'Makes a webhook: each event whose name begins with <event> becomes a request to <url>. A file holds further settings, as docs/webhooks.md lists them; what stands in the command overrides it.',
    examples: [
      { line: 'aloe webhook create temp https://example.com/temp', what: 'POST a form with the event' },
      {
        line: `aloe webhook create temp https://example.com/temp --body '{"celsius":{{{PARTICLE_EVENT_VALUE}}}}'`,
        what: 'POST a body of your own',
      },
      { line: 'aloe webhook create --file hook.json', what: 'with all settings out of a file' },
    ],
  })
    .option('--device <device>', 'only events of this device (name or id)')
    .option('--method <method>', 'GET, POST, PUT, PATCH or DELETE (default: POST)')
    .option('--file <file>', 'settings as JSON')
    .option('--header <name: value>', 'a header; may be repeated', header)
    .option('--body <template>', 'the body of the request')
    .option('--json-body <object>', 'the body of the request as a JSON object', jsonObject)
    .action(async (event: string | undefined, url: string | undefined, options: CreateOptions) => {
      const { device, method, body, jsonBody } = options
      const file = options.file === undefined ? {} : await readSettings(options.file)
      const settings = {
        ...file,
        ...(event !== undefined && { event }),
        ...(url !== undefined && { url }),
        ...(method !== undefined && { requestType: method }),
        ...(options.header && { headers: options.header }),
        ...(body !== undefined && { body }),
        ...(jsonBody && { json: jsonBody }),
        integration_type: 'Webhook',
      }
      const made = (await ask(options, 'make the webhook', ({ particle }) =>
        particle.createIntegration({
          ...ofProduct(options),
          // The settings say it; the method wants it as well.
          event: (event ?? settings.event) as string,
          settings,
          ...(device !== undefined && { deviceId: device }),
        }),
      )) as { id: string; event: string; url: string; warning?: string }
      const output = outputOf(options)
      output.result(made, (colors) => `${colors.green('✔')} ${colors.bold(made.id)} sends ${made.event} to ${made.url}`)
      if (made.warning !== undefined) output.note(output.colors.yellow(made.warning))
    })
}

function showCommand(): Command {
  return webhook({
    usage: 'show <webhook>',
    summary: 'show a webhook and what became of its last deliveries',
    examples: [{ line: 'aloe webhook show 69a0f1…', what: 'its settings, counters, last deliveries, queue' }],
  }).action(async (id: string, options: WebhookOptions) => {
    const { integration } = (await get(options, `show ${id}`, `/${id}`)) as { integration: Webhook }
    outputOf(options).result(integration, (colors) => {
      const { counters = [], logs = [], queue, ...settings } = integration
      const lines = Object.entries(settings).map(
        ([key, value]) =>
          `${colors.dim(key.padEnd(18))} ${printable(typeof value === 'string' ? value : JSON.stringify(value))}`,
      )
      for (const { date, success, error, sleep } of counters) {
        lines.push(`${colors.dim(date.padEnd(18))} ${success} delivered, ${error} failed, ${sleep} held back`)
      }
      if (queue)
        lines.push(`${colors.dim('queue'.padEnd(18))} ${queue.waiting} waiting, ${queue.dead_letters} dead letters`)
      for (const { time, type, event, response } of logs) {
        const mark = type === 'success' ? colors.green('✔') : colors.red('✘')
        lines.push(`${mark} ${colors.dim(time)} ${printable(event.name)} ${firstLine(response)}`)
      }
      return lines.join('\n')
    })
  })
}

function testCommand(): Command {
  return webhook({
    usage: 'test <webhook> [data]',
    summary: 'send its request once, and show what is answered',
    examples: [{ line: 'aloe webhook test 69a0f1… 21.5', what: 'as if an event with "21.5" had come' }],
  }).action(async (id: string, data: string | undefined, options: WebhookOptions) => {
    const body = data === undefined ? {} : { data }
    const result = (await request(options, `test ${id}`, 'post', `/${id}/test`, body)) as {
      pass: boolean
      data: string
      error?: string
    }
    if (!result.pass) {
      throw new CliError(`The webhook failed: ${printable(result.error ?? '')}`, {
        details: { pass: false, data: result.data },
      })
    }
    outputOf(options).result(result, (colors) => `${colors.green('✔')} ${printable(result.data)}`.trimEnd())
  })
}

function deleteCommand(): Command {
  return webhook({
    usage: 'delete <webhook>',
    summary: 'delete a webhook, with what waits for it',
    examples: [{ line: 'aloe webhook delete 69a0f1…', what: 'and its dead letters' }],
  }).action(async (id: string, options: WebhookOptions) => {
    await ask(options, `delete ${id}`, ({ particle }) =>
      particle.deleteIntegration({ integrationId: id, ...ofProduct(options) }),
    )
    outputOf(options).result({ ok: true, id }, (colors) => `${colors.green('✔')} ${colors.bold(id)} is deleted`)
  })
}

function deadLettersCommand(): Command {
  return webhook({
    usage: 'dead-letters <webhook> [letter]',
    summary: 'list what could not be delivered',
    description: 'Lists what a webhook could not deliver, the newest first; or shows one of them; or deletes them.',
    examples: [
      { line: 'aloe webhook dead-letters 69a0f1…', what: 'list them' },
      { line: 'aloe webhook dead-letters 69a0f1… --delete', what: 'delete them all' },
    ],
  })
    .option('--delete', 'delete them, or the one')
    .action(async (id: string, letter: string | undefined, options: WebhookOptions & { delete?: boolean }) => {
      const path = `/${id}/dead-letters${letter === undefined ? '' : `/${letter}`}`
      if (options.delete === true) {
        const done = (await request(options, 'delete dead letters', 'delete', path)) as { deleted: number }
        outputOf(options).result(done, (colors) => `${colors.green('✔')} ${done.deleted} deleted`)
        return
      }
      const found = (await get(options, 'list dead letters', path)) as {
        dead_letters?: DeadLetter[]
        dead_letter?: DeadLetter
      }
      const letters = found.dead_letters ?? (found.dead_letter ? [found.dead_letter] : [])
      outputOf(options).result(found, (colors) => {
        if (letters.length === 0) return 'There are no dead letters.'
        const rows = letters.map((each) => [
          each.id,
          each.died_at,
          printable(each.event),
          String(each.attempts),
          firstLine(each.error),
          letter === undefined ? firstLine(each.data ?? '') : printable(each.data ?? ''),
        ])
        return table([['ID', 'SINCE', 'EVENT', 'TRIES', 'ERROR', 'DATA'], ...rows], colors)
      })
    })
}

function replayCommand(): Command {
  return webhook({
    usage: 'replay <webhook> [letter]',
    summary: 'deliver dead letters again',
    examples: [
      { line: 'aloe webhook replay 69a0f1…', what: 'all of them' },
      { line: 'aloe webhook replay 69a0f1… 69a0f2…', what: 'one' },
    ],
  }).action(async (id: string, letter: string | undefined, options: WebhookOptions) => {
    const path = `/${id}/dead-letters${letter === undefined ? '' : `/${letter}`}/replay`
    const done = (await request(options, 'replay', 'post', path)) as { replayed: number }
    outputOf(options).result(done, (colors) => `${colors.green('✔')} ${done.replayed} on their way again`)
  })
}

function webhook(text: Parameters<typeof makeCommand>[0]): Command {
  return makeCommand(text).option('--product <product>', 'of this product (id or slug)').addOption(cloudOption())
}

function ofProduct({ product }: WebhookOptions): { product?: string } {
  return product === undefined ? {} : { product }
}

function get(options: WebhookOptions, what: string, path: string): Promise<unknown> {
  return request(options, what, 'get', path)
}

/** For what particle-api-js has no method. */
function request(
  options: WebhookOptions,
  what: string,
  method: 'get' | 'post' | 'delete',
  path: string,
  data?: Record<string, unknown>,
): Promise<unknown> {
  const { product } = options
  const home = product === undefined ? '/v1' : `/v1/products/${encodeURIComponent(product)}`
  const uri = `${home}/integrations${path.split('/').map(encodeURIComponent).join('/')}`
  return ask(options, what, ({ particle, token }) =>
    particle.request({ uri, method, ...(token !== undefined && { auth: token }), ...(data && { data }) }),
  )
}

async function ask(
  options: WebhookOptions,
  what: string,
  question: (client: CloudClient) => Promise<unknown>,
): Promise<unknown> {
  const client = await connectAsUser(options)
  try {
    return ((await question(client)) as { body?: unknown }).body
  } catch (error) {
    throw cloudError(error, client, what)
  }
}

async function readSettings(file: string): Promise<Record<string, unknown>> {
  const failed = (reason: string): CliError =>
    new CliError(`${file} cannot be read: ${reason}`, { code: exitCode.usage, hint: 'It must hold a JSON object.' })
  let value: unknown
  try {
    value = JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    throw failed(messageOf(error))
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw failed('it is no object')
  return value as Record<string, unknown>
}

function header(text: string, before: Record<string, string> = {}): Record<string, string> {
  const colon = text.indexOf(':')
  if (colon < 1) throw new InvalidArgumentError('A header looks like this: "X-Key: value".')
  return { ...before, [text.slice(0, colon).trim()]: text.slice(colon + 1).trim() }
}

function jsonObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {
    // Said below.
  }
  throw new InvalidArgumentError('It must be a JSON object.')
}

function firstLine(text: string): string {
  const [line = ''] = text.split('\n')
  return printable(line.length > 60 ? `${line.slice(0, 60)}…` : line)
}
