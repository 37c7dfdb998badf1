import type { DeviceFile, DeviceLine, DeviceStatus, LedState } from '@aloe/device-os'
import type { Command } from 'commander'
import { CliError, exitCode } from '../cli-error.ts'
import { cloudError, connectCloud } from '../cloud-client.ts'
import type { Colors } from '../colors.ts'
import { type CommonOptions, cloudOption, makeCommand, outputOf } from '../command.ts'
import { endpointOf, type ProtocolOptions, protocolOption } from '../device-endpoint.ts'
import { type Output, printable } from '../output.ts'
import { nextStop } from '../stop-signal.ts'
import { registerKey } from './device-create.ts'

export function runDeviceCommand(): Command {
  return makeCommand({
    usage: 'run <folder>',
    summary: 'run a device that `aloe device create` made',
    description:
      'Switches a device on: bootloader, system and application run as processes from the code inside its modules. The LED and the log are drawn until you switch it off with Ctrl+C.',
    examples: [
      { line: 'aloe device run ./blinky', what: 'with its LED at the bottom' },
      { line: 'aloe device run ./blinky --json', what: 'what happens, as lines of JSON' },
      { line: 'aloe device run ./blinky --cloud http://other:8080', what: 'move it to another cloud' },
      { line: 'aloe device run ./blinky --protocol tcp', what: 'over TCP from now on' },
    ],
  })
    .addOption(cloudOption())
    .addOption(protocolOption('tcp or udp: how it connects from now on (default: as before)'))
    .action(run)
}

interface RunOptions extends CommonOptions, ProtocolOptions {}

async function run(dir: string, options: RunOptions): Promise<void> {
  const output = outputOf(options)
  const { colors } = output
  const stopped = nextStop()
  const { DeviceBusyError, DeviceFolderError, readDeviceFile, runDevice } = await import('@aloe/device-os')
  const view = output.json ? jsonView(output) : plainView(output)
  try {
    const { id, name } = readDeviceFile(dir)
    if (options.cloud !== undefined || options.protocol !== undefined) await move(dir, options, output)
    const led = output.interactive ? new (await import('../led-line.ts')).LedLine(process.stderr, name) : undefined
    const device = runDevice({
      dir,
      onLed: (state) => (led === undefined ? view.led(state) : led.show(state)),
      onLog: (line) => (led === undefined ? view.log(line) : led.above(logLine(line, colors))),
      onStatus: view.status,
    })
    output.note(`${colors.bold(name)} ${id} is on; Ctrl+C switches it off`)
    await Promise.race([stopped, device.off])
    await device.stop()
    led?.close()
  } catch (error) {
    if (error instanceof DeviceFolderError) {
      throw new CliError(`${error.message}.`, {
        ...(error.code === 'no-device' && {
          code: exitCode.usage,
          hint: 'Make one with: aloe device create --dir FOLDER --name NAME',
        }),
        cause: error,
      })
    }
    if (error instanceof DeviceBusyError) throw new CliError(`${error.message}.`, { cause: error })
    throw error
  }
}

/** To another cloud, to another transport, or both. A cloud knows one key of a device: that of its transport. */
async function move(dir: string, options: RunOptions, output: Output): Promise<void> {
  const { connectDevice, openFlash, readDeviceFile } = await import('@aloe/device-os')
  const { transport: before = 'tcp' } = readDeviceFile(dir)
  if (options.cloud === undefined) {
    const transport = options.protocol ?? before
    const { serverAddress, udpServerAddress } = openFlash(dir).config
    if ((transport === 'udp' ? udpServerAddress : serverAddress) === undefined) {
      throw new CliError(`The device knows no cloud to reach over ${transport.toUpperCase()}.`, {
        hint: `Name one: aloe device run ${dir} --protocol ${transport} --cloud URL`,
      })
    }
    const device = connectDevice(dir, transport)
    if (transport !== before) tellOfKey(device, dir, output)
    return
  }
  const client = await connectCloud(options)
  const { transport, addresses } = await endpointOf(client.url, options.protocol, before)
  const device = connectDevice(dir, transport, addresses)
  if (transport === before) return
  if (client.token === undefined) {
    tellOfKey(device, dir, output)
    return
  }
  try {
    await registerKey(client, device)
    output.note(`its key for ${transport.toUpperCase()} is registered at ${client.url}`)
  } catch (error) {
    output.note(cloudError(error, client, `register the key of ${device.name}`).message)
    tellOfKey(device, dir, output)
  }
}

function tellOfKey({ transport = 'tcp' }: DeviceFile, dir: string, output: Output): void {
  output.note(`it connects over ${transport.toUpperCase()} now, with a key of its own; register it with:`)
  output.note(`  aloe device add ${dir}`)
}

interface View {
  led(state: LedState): void
  log(line: DeviceLine): void
  status(status: DeviceStatus): void
}

function plainView(output: Output): View {
  let words = ''
  return {
    led(state) {
      if (state.words === words) return
      words = state.words
      output.note(`led         ${words}`)
    },
    log: (line) => output.note(logLine(line, output.colors)),
    status: () => {},
  }
}

/** One line of JSON for everything that happens. */
function jsonView(output: Output): View {
  let phase = ''
  const write = (event: string, value: object) => output.result({ event, ...value }, () => '')
  return {
    led: ({ signal, words, color, pattern }) => write('led', { signal, words, color, pattern }),
    log: (line) => write('log', line),
    status({ phase: now, boots, decision }) {
      if (now === phase) return
      phase = now
      const mode = decision?.mode
      write('phase', { phase, boots, ...(mode !== undefined && { mode }) })
    },
  }
}

function logLine({ from, level, category, message }: DeviceLine, colors: Colors): string {
  const who = colors.dim((category ?? from).padEnd(11))
  const text = printable(message)
  if (level === 'error') return `${who} ${colors.red(text)}`
  return `${who} ${level === 'warn' ? colors.yellow(text) : text}`
}
