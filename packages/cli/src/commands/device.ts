import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { CliError } from '../cli-error.ts'
import { cloudError, connectAsUser } from '../cloud-client.ts'
import { type CommonOptions, cloudOption, makeCommand, makeGroup, outputOf } from '../command.ts'
import { readDeviceId } from '../device-id.ts'
import { confirm } from '../prompt.ts'
import { createDeviceCommand, registerDevice } from './device-create.ts'
import { runDeviceCommand } from './device-run.ts'

export function deviceCommand(): Command {
  return makeGroup('device', 'make, run and manage devices', [
    createDeviceCommand(),
    runDeviceCommand(),
    addCommand(),
    renameCommand(),
    removeCommand(),
  ])
}

function addCommand(): Command {
  return makeCommand({
    usage: 'add <device>',
    summary: 'claim a device that the cloud knows, or register one of a folder',
    description:
      'Makes a device yours. By its id: the cloud must know its key, and it must not be somebody else’s. By the folder that `aloe device create` made: its key is registered first, and it gets its name.',
    examples: [
      { line: 'aloe device add 422b05f3a1c2d4e5f6071829', what: 'claim it by its id' },
      { line: 'aloe device add ./blinky', what: 'one that was made without a login' },
    ],
  })
    .addOption(cloudOption())
    .action(async (device: string, options: CommonOptions) => {
      if (existsSync(join(device, 'device.json'))) return await addFolder(device, options)
      const deviceId = readDeviceId(device)
      const client = await connectAsUser(options)
      try {
        const { body } = await client.particle.claimDevice({ deviceId })
        outputOf(options).result(body, (colors) => `${colors.green('✔')} ${colors.bold(deviceId)} is yours`)
      } catch (error) {
        throw cloudError(error, client, `claim ${deviceId}`)
      }
    })
}

async function addFolder(dir: string, options: CommonOptions): Promise<void> {
  const { readDeviceFile } = await import('@aloe/device-os')
  const device = readDeviceFile(dir)
  const client = await connectAsUser(options)
  try {
    await registerDevice(client, device)
  } catch (error) {
    throw cloudError(error, client, `register ${device.name}`)
  }
  const { id, name } = device
  outputOf(options).result(
    { ok: true, id, name },
    (colors) => `${colors.green('✔')} ${colors.bold(name)} ${id} is yours`,
  )
}

function renameCommand(): Command {
  return makeCommand({
    usage: 'rename <device> <name>',
    summary: 'give a device a name',
    examples: [{ line: 'aloe device rename blinky kitchen-light', what: 'by its old name or its id' }],
  })
    .addOption(cloudOption())
    .action(async (deviceId: string, name: string, options: CommonOptions) => {
      const client = await connectAsUser(options)
      try {
        const { body } = await client.particle.renameDevice({ deviceId, name })
        outputOf(options).result(
          body,
          (colors) => `${colors.green('✔')} ${deviceId} is now called ${colors.bold(name)}`,
        )
      } catch (error) {
        throw cloudError(error, client, `rename ${deviceId}`)
      }
    })
}

interface RemoveOptions extends CommonOptions {
  readonly yes?: boolean
}

function removeCommand(): Command {
  return makeCommand({
    usage: 'remove <device>',
    summary: 'give a device up: it is nobody’s then',
    examples: [
      { line: 'aloe device remove blinky', what: 'after a question' },
      { line: 'aloe device remove blinky --yes', what: 'without' },
    ],
  })
    .addOption(cloudOption())
    .option('-y, --yes', 'do not ask')
    .action(async (deviceId: string, options: RemoveOptions) => {
      const client = await connectAsUser(options)
      if (options.yes !== true && !(await confirm(`Give up ${deviceId}?`, '--yes'))) {
        throw new CliError('Nothing was changed.')
      }
      try {
        const { body } = await client.particle.removeDevice({ deviceId })
        outputOf(options).result(body, (colors) => `${colors.green('✔')} ${colors.bold(deviceId)} is no longer yours`)
      } catch (error) {
        throw cloudError(error, client, `remove ${deviceId}`)
      }
    })
}
