import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { ModuleFormatError, parseModule } from '@aloe/firmware'
import { type Command, InvalidArgumentError } from 'commander'
import { CliError, exitCode, messageOf } from '../cli-error.ts'
import { type CloudClient, cloudError, connectAsUser } from '../cloud-client.ts'
import { type CommonOptions, cloudOption, makeCommand, outputOf } from '../command.ts'
import { type EventQueue, openEvents } from '../event-stream.ts'
import { followUpdate, type UpdateSummary } from '../follow-update.ts'
import type { Output } from '../output.ts'
import { allowPrereleaseFlag, guardPrerelease, type Sent } from '../prerelease-guard.ts'
import { collectSources, type SourceFiles } from '../source-files.ts'

interface FlashOptions extends CommonOptions {
  readonly target?: string
  readonly wait: boolean
  readonly force?: boolean
  readonly allowPrerelease?: boolean
  readonly timeout: number
}

export function flashCommand(): Command {
  return makeCommand({
    usage: 'flash <device> [paths...]',
    summary: 'send an application or a system part to a device',
    description:
      'Sends sources, which the cloud compiles, or one module file (.bin) to a device over the air, and waits until the device runs it. An application that needs a newer Device OS puts the device into safe mode; the cloud then sends the missing modules. Without --target sources are compiled for the Device OS that the device runs.',
    examples: [
      { line: 'aloe flash blinky', what: 'the application in this folder' },
      { line: 'aloe flash blinky ./app --target 2.0.0', what: 'for Device OS 2.0.0; the device is updated to it' },
      { line: 'aloe flash blinky firmware.bin', what: 'a module file, also a system part' },
      { line: 'aloe flash blinky ./app --no-wait', what: 'end as soon as the device takes the update' },
    ],
  })
    .addOption(cloudOption())
    .option('--target <version>', 'Device OS to compile sources for')
    .option('--no-wait', 'do not wait for the device to run it')
    .option('--force', 'also when the application of the device refuses updates, or its update policy holds them back')
    .option(allowPrereleaseFlag, 'send a pre-release of the Device OS without asking')
    .option('--timeout <seconds>', 'how long to wait', seconds, 300)
    .action(flash)
}

async function flash(deviceId: string, paths: string[], options: FlashOptions): Promise<void> {
  const output = outputOf(options)
  const started = Date.now()
  const files = await readFiles(paths, options.target)
  const client = await connectAsUser(options)
  await guardPrerelease(client, deviceId, sentOf(files, options.target), options.allowPrerelease === true, output)
  const events = options.wait ? await openStream(client, deviceId) : undefined
  try {
    await start(client, deviceId, files, options, output)
    const summary = events && (await followUpdate(client, deviceId, events, output, started + options.timeout * 1000))
    report(output, deviceId, summary, Date.now() - started)
  } catch (error) {
    throw cloudError(error, client, `flash ${deviceId}`)
  } finally {
    events?.close()
  }
}

async function start(client: CloudClient, deviceId: string, files: SourceFiles, options: FlashOptions, output: Output) {
  const { particle } = client
  if (options.force === true) {
    const uri = `/v1/devices/${encodeURIComponent(deviceId)}`
    await particle.put({ uri, data: { firmware_updates_forced: true }, ...(client.token && { auth: client.token }) })
  }
  const names = Object.keys(files)
  const what = names.length === 1 ? names[0] : `${names.length} files`
  output.note(output.colors.dim(`flashing ${what} …`))
  const { target } = options
  // As particle-api-js's own flashDevice does it, which has no room for "force".
  const sent: unknown = await particle.request({
    uri: `/v1/devices/${encodeURIComponent(deviceId)}`,
    method: 'put',
    files,
    form: {
      ...(target === undefined ? { latest: 'true' } : { build_target_version: target }),
      ...(options.force === true && { force: 'true' }),
    },
    ...(client.token !== undefined && { auth: client.token }),
  })
  const { body } = sent as { readonly body?: object }
  // Real clouds may answer a failed compilation with status 200 (cloud-api.md 1.5, 1.6).
  const answer: Readonly<Record<string, unknown>> = { ...body }
  if (typeof answer.status !== 'string' && typeof answer.message !== 'string') {
    const { errors, error } = answer
    throw new CliError(
      Array.isArray(errors) ? errors.join('\n') : String(error ?? 'The cloud did not start the update.'),
    )
  }
}

function report(output: Output, deviceId: string, summary: UpdateSummary | undefined, duration: number): void {
  if (summary === undefined) {
    output.result(
      { ok: true, device: deviceId, waited: false },
      (colors) => `${colors.green('✔')} the update has started`,
    )
    return
  }
  const { device, sent } = summary
  const version = device.systemVersion
  const value = { ok: true, device: device.id, waited: true, sent, duration, device_os: version ?? null }
  output.result(value, (colors) => {
    const runs = version === undefined ? '' : ` on Device OS ${version}`
    const name = colors.bold(device.name ?? device.id)
    return `${colors.green('✔')} ${name} runs it${runs} (${sent.length === 1 ? '1 module' : `${sent.length} modules`} sent, ${(duration / 1000).toFixed(1)} s)`
  })
}

function sentOf(files: SourceFiles, target: string | undefined): Sent {
  const [[name, content] = ['', undefined]] = Object.entries(files)
  return { target, ...(content && /\.bin$/i.test(name) && { file: new Uint8Array(content) }) }
}

/** One module file, or sources. */
async function readFiles(paths: readonly string[], target: string | undefined): Promise<SourceFiles> {
  const binary = paths.find((path) => /\.(bin|zip)$/i.test(path))
  if (binary === undefined) return await collectSources(paths)
  if (paths.length > 1) throw new CliError(`${binary} must be the only file.`, { code: exitCode.usage })
  if (target !== undefined) {
    throw new CliError('--target is for sources; a module file is compiled already.', { code: exitCode.usage })
  }
  const content = await readFile(binary).catch((error: unknown) => {
    throw new CliError(`${binary} cannot be read: ${messageOf(error)}`, { code: exitCode.usage })
  })
  checkModule(binary, content)
  return { [basename(binary)]: content }
}

/** What no device takes need not be sent. */
function checkModule(path: string, content: Buffer): void {
  if (!/\.bin$/i.test(path)) return
  try {
    if (!parseModule(new Uint8Array(content)).crcValid)
      throw new CliError(`${path} is damaged: its CRC-32 does not fit.`)
  } catch (error) {
    if (!(error instanceof ModuleFormatError)) throw error
    throw new CliError(`${path} is not a module file: ${error.message}`)
  }
}

async function openStream(client: CloudClient, deviceId: string): Promise<EventQueue> {
  try {
    return await openEvents(client, { deviceId })
  } catch (error) {
    throw cloudError(error, client, `watch ${deviceId}`)
  }
}

function seconds(text: string): number {
  const value = Number(text)
  if (!(value > 0 && value < 1e6)) throw new InvalidArgumentError('It must be a number of seconds.')
  return value
}
