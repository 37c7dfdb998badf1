import type { Command } from 'commander'
import { cloudError, connectAsUser } from '../cloud-client.ts'
import { type CommonOptions, cloudOption, makeCommand, outputOf } from '../command.ts'
import { printable } from '../output.ts'

export function callCommand(): Command {
  return makeCommand({
    usage: 'call <device> <function> [argument]',
    summary: 'call a function of a device',
    description: 'Calls a function that the application of a device registered, and prints the number it returns.',
    examples: [
      { line: 'aloe call blinky led on', what: 'call led("on")' },
      { line: 'aloe call blinky reboot --json', what: 'print {"name":…,"return_value":…}' },
    ],
  })
    .addOption(cloudOption())
    .action(async (deviceId: string, name: string, argument: string | undefined, options: CommonOptions) => {
      const client = await connectAsUser(options)
      try {
        const request = { deviceId, name, ...(argument !== undefined && { argument }) }
        const { body } = await client.particle.callFunction(request)
        outputOf(options).result(body, () => String(body.return_value))
      } catch (error) {
        throw cloudError(error, client, `call ${name} on ${deviceId}`)
      }
    })
}

export function getCommand(): Command {
  return makeCommand({
    usage: 'get <device> <variable>',
    summary: 'read a variable of a device',
    description: 'Reads a variable that the application of a device registered, and prints its value.',
    examples: [
      { line: 'aloe get blinky temperature', what: 'print the value' },
      { line: 'aloe get blinky temperature --json', what: 'print {"name":…,"result":…}' },
    ],
  })
    .addOption(cloudOption())
    .action(async (deviceId: string, name: string, options: CommonOptions) => {
      const client = await connectAsUser(options)
      try {
        const { body } = await client.particle.getVariable({ deviceId, name })
        outputOf(options).result(body, () => printable(String(body.result)))
      } catch (error) {
        throw cloudError(error, client, `read ${name} of ${deviceId}`)
      }
    })
}
