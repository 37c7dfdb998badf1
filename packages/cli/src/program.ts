/** All commands of `aloe`. */

import { Command } from 'commander'
import manifest from '../package.json' with { type: 'json' }
import { binaryCommand } from './commands/binary.ts'
import { callCommand, getCommand } from './commands/call.ts'
import { compileCommand } from './commands/compile.ts'
import { demoCommand } from './commands/demo.ts'
import { deviceCommand } from './commands/device.ts'
import { deviceOsCommand } from './commands/device-os.ts'
import { publishCommand, subscribeCommand } from './commands/events.ts'
import { flashCommand } from './commands/flash.ts'
import { keysCommand } from './commands/keys.ts'
import { listCommand } from './commands/list.ts'
import { loginCommand, logoutCommand, whoamiCommand } from './commands/login.ts'
import { planCommand } from './commands/plan.ts'
import { productCommand } from './commands/product.ts'
import { releaseCommand } from './commands/release.ts'
import { upCommand } from './commands/up.ts'
import { downgradeCommand, updateCommand } from './commands/update.ts'
import { userCommand } from './commands/user.ts'
import { webhookCommand } from './commands/webhook.ts'

const tour = `
A first tour:
  $ aloe up                                            start a cloud on this machine
  $ aloe login                                         log in at it (another terminal)
  $ aloe device create --dir ./blinky --name blinky --device-os 1.0.0
  $ aloe device run ./blinky                           run the device
  $ aloe flash blinky ./my-app                         compile an application and send it over the air
  $ aloe subscribe                                     watch what it publishes

\`aloe <command> --help\` explains a command, with examples. \`aloe demo\` shows all of it at once.
`

export function createProgram(): Command {
  const program = new Command('aloe')
    .description('Aloe: an open Device OS and device cloud')
    .version(manifest.version, '-v, --version', 'print the version')
    .addHelpCommand(new Command('help').argument('[command]').description('explain a command').helpGroup('More:'))
    // `--version` after a command is that command's: `aloe device-os build --version 2.0.0`.
    .enablePositionalOptions()
    .configureHelp({ showGlobalOptions: false })
    .addHelpText('after', tour)
    .commandsGroup('Cloud:')
    .addCommand(upCommand())
    .addCommand(loginCommand())
    .addCommand(logoutCommand())
    .addCommand(whoamiCommand())
    .addCommand(userCommand())
    .commandsGroup('Devices:')
    .addCommand(deviceCommand())
    .addCommand(listCommand())
    .addCommand(callCommand())
    .addCommand(getCommand())
    .addCommand(publishCommand())
    .addCommand(subscribeCommand())
    .addCommand(webhookCommand())
    .commandsGroup('Firmware:')
    .addCommand(compileCommand())
    .addCommand(flashCommand())
    .addCommand(planCommand())
    .addCommand(updateCommand())
    .addCommand(downgradeCommand())
    .addCommand(deviceOsCommand())
    .addCommand(binaryCommand())
    .addCommand(keysCommand())
    .commandsGroup('Products:')
    .addCommand(productCommand())
    .addCommand(releaseCommand())
    .commandsGroup('More:')
    .addCommand(demoCommand())
  throwInsteadOfExit(program)
  return program
}

/** Exit codes are run-command.ts's business, of every command alike. */
function throwInsteadOfExit(command: Command): void {
  command.exitOverride()
  for (const child of command.commands) throwInsteadOfExit(child)
}
