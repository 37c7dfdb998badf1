import type { DeviceLine, DeviceStatus, LedState } from '@aloe/device-os'
import type { Command } from 'commander'
import { CliError } from '../cli-error.ts'
import { connectCloud } from '../cloud-client.ts'
import type { Colors } from '../colors.ts'
import { type CommonOptions, cloudOption, makeCommand, outputOf } from '../command.ts'
import { type Output, printable } from '../output.ts'
import { nextStop } from '../stop-signal.ts'
import { readWellKnown } from '../well-known.ts'
import { addressOf } from './device-create.ts'

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
    ],
  })
    .addOption(cloudOption())
    .action(run)
}

async function run(dir: string, options: CommonOptions): Promise<void> {
  const output = outputOf(options)
  const { colors } = output
  const stopped = nextStop()
  const { DeviceBusyError, DeviceFolderError, openFlash, readDeviceFile, runDevice } = await import('@aloe/device-os')
  const view = output.json ? jsonView(output) : plainView(output)
  try {
    const { id, name } = readDeviceFile(dir)
    if (options.cloud !== undefined) {
      const { url } = await connectCloud(options)
      const { tcp, keys } = await readWellKnown(url)
      if (tcp === undefined || keys.tcp === undefined) throw new CliError(`The cloud at ${url} does not serve devices.`)
      openFlash(dir).updateConfig({ serverKey: keys.tcp, serverAddress: addressOf(tcp.host, tcp.port) })
    }
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
        hint: 'Make one with: aloe device create --dir FOLDER --name NAME',
        cause: error,
      })
    }
    if (error instanceof DeviceBusyError) throw new CliError(`${error.message}.`, { cause: error })
    throw error
  }
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
