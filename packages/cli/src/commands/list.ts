import { platformById } from '@aloe/firmware'
import type { Command } from 'commander'
import { cloudError, connectAsUser } from '../cloud-client.ts'
import { type CommonOptions, cloudOption, makeCommand, outputOf } from '../command.ts'
import { type Device, readDevice, stateOf } from '../device-object.ts'
import { printable, table } from '../output.ts'

export function listCommand(): Command {
  return makeCommand({
    usage: 'list [filter]',
    summary: 'list your devices',
    description:
      'Lists your devices: state, platform, Device OS, functions and variables. The filter is a part of name or id.',
    examples: [
      { line: 'aloe list', what: 'all of them' },
      { line: 'aloe list kitchen', what: 'those with "kitchen" in their name' },
      { line: 'aloe list --json', what: 'as an array of device objects' },
    ],
  })
    .addOption(cloudOption())
    .action(list)
}

/** Empty until the device has said what it is. */
function platformName({ platformId }: Device): string {
  if (platformId === undefined) return ''
  return platformById(platformId)?.name ?? String(platformId)
}

async function list(filter: string | undefined, options: CommonOptions): Promise<void> {
  const client = await connectAsUser(options)
  const devices: Device[] = []
  try {
    const { body } = await client.particle.listDevices({})
    for (const item of Array.isArray(body) ? body : []) {
      const device = readDevice(item)
      if (filter !== undefined && !`${device.id} ${device.name ?? ''}`.toLowerCase().includes(filter.toLowerCase()))
        continue
      // The list may leave out functions and variables (cloud-api.md 1.3).
      const whole = device.connected ? (await client.particle.getDevice({ deviceId: device.id })).body : item
      devices.push(readDevice(whole))
    }
  } catch (error) {
    throw cloudError(error, client, 'list your devices')
  }
  outputOf(options).result(
    devices.map(({ raw }) => raw),
    (colors) => {
      if (devices.length === 0) {
        return filter === undefined
          ? 'You have no devices yet. Make one with: aloe device create --dir ./my-device --name my-device --device-os 1.0.0'
          : `None of your devices has ${JSON.stringify(filter)} in its name or id.`
      }
      const rows = devices.map((device) => [
        printable(device.name ?? '(no name)'),
        device.id,
        stateOf(device),
        platformName(device),
        device.systemVersion ?? '',
        [...device.functions.map((name) => `${name}()`), ...Object.keys(device.variables)].join(' '),
      ])
      return table([['NAME', 'ID', 'STATE', 'PLATFORM', 'DEVICE OS', 'FUNCTIONS AND VARIABLES'], ...rows], colors)
    },
  )
}
