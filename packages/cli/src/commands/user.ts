/** `aloe user …`: the users of a cloud, for its administrators (docs/identity.md). */
import type { Command } from 'commander'
import { type CloudClient, cloudError, connectAsUser } from '../cloud-client.ts'
import { type CommandText, type CommonOptions, cloudOption, makeCommand, makeGroup, outputOf } from '../command.ts'
import { printable, table } from '../output.ts'
import { askSecret, confirm } from '../prompt.ts'

interface ListedUser {
  readonly username: string
  readonly administrator: boolean
  readonly mfa: boolean
  readonly devices: number
}

export function userCommand(): Command {
  return makeGroup('user', 'the users of a cloud, for its administrators', [
    listCommand(),
    createCommand(),
    resetPasswordCommand(),
    resetMfaCommand(),
    removeCommand(),
  ])
}

function command(text: CommandText): Command {
  return makeCommand(text).addOption(cloudOption())
}

function listCommand(): Command {
  return command({
    usage: 'list',
    summary: 'list the users',
    examples: [{ line: 'aloe user list', what: 'who has an account' }],
  }).action(async (options: CommonOptions) => {
    const { users } = (await ask(options, 'list the users', ({ particle }, auth) =>
      particle.get({ uri: '/v1/aloe/users', auth }),
    )) as { users: ListedUser[] }
    const rows = users.map(({ username, administrator, mfa, devices }) => [
      printable(username),
      administrator ? 'administrator' : '',
      mfa ? 'yes' : 'no',
      String(devices),
    ])
    outputOf(options).result(users, (colors) =>
      table([['USER', 'RIGHTS', 'SECOND FACTOR', 'DEVICES'], ...rows], colors),
    )
  })
}

function createCommand(): Command {
  return command({
    usage: 'create <username>',
    summary: 'make a user',
    examples: [{ line: 'aloe user create ann@example.com', what: 'asks for the password' }],
  })
    .option('-p, --password <password>', 'the password of the user')
    .action(async (username: string, options: CommonOptions & { password?: string }) => {
      const password = options.password ?? (await askSecret('Password of the user', '--password'))
      const body = await ask(options, `make the user ${username}`, ({ particle }, auth) =>
        particle.post({ uri: '/v1/users', auth, data: { username, password } }),
      )
      outputOf(options).result(body, (colors) => `${colors.green('✔')} ${colors.bold(printable(username))} can log in`)
    })
}

function resetPasswordCommand(): Command {
  return command({
    usage: 'reset-password <username>',
    summary: 'make a link with which a user sets a new password',
    description:
      'Makes a link for a user who has forgotten their password: pass it on to them. It is good for an hour and for one password. An administrator who cannot log in starts the cloud with ALOE_ADMIN_PASSWORD instead.',
    examples: [{ line: 'aloe user reset-password ann@example.com', what: 'prints the link' }],
  }).action(async (username: string, options: CommonOptions) => {
    const uri = `/v1/aloe/users/${encodeURIComponent(username)}/password-reset`
    const body = (await ask(options, `reset the password of ${username}`, ({ particle }, auth) =>
      particle.post({ uri, auth, data: {} }),
    )) as { url: string }
    outputOf(options).result(body, (colors) => `${colors.cyan(body.url)}\n${colors.dim('Good for an hour, once.')}`)
  })
}

function resetMfaCommand(): Command {
  return command({
    usage: 'reset-mfa <username>',
    summary: 'take the second factor from a user who has lost it',
    examples: [{ line: 'aloe user reset-mfa ann@example.com', what: 'they log in with the password alone then' }],
  }).action(async (username: string, options: CommonOptions) => {
    const uri = `/v1/aloe/users/${encodeURIComponent(username)}/mfa`
    const body = await ask(options, `take the second factor from ${username}`, ({ particle }, auth) =>
      particle.delete({ uri, auth, data: {} }),
    )
    outputOf(options).result(body, (colors) => `${colors.green('✔')} ${printable(username)} has no second factor`)
  })
}

function removeCommand(): Command {
  return command({
    usage: 'remove <username>',
    summary: 'remove a user; their devices are nobody’s then',
    examples: [{ line: 'aloe user remove ann@example.com --yes', what: 'without a question' }],
  })
    .option('--yes', 'do not ask')
    .action(async (username: string, options: CommonOptions & { yes?: boolean }) => {
      if (options.yes !== true && !(await confirm(`Remove ${printable(username)}?`, '--yes'))) return
      const uri = `/v1/aloe/users/${encodeURIComponent(username)}`
      const body = await ask(options, `remove ${username}`, ({ particle }, auth) =>
        particle.delete({ uri, auth, data: {} }),
      )
      outputOf(options).result(body, (colors) => `${colors.green('✔')} ${printable(username)} is removed`)
    })
}

async function ask(
  options: CommonOptions,
  what: string,
  request: (client: CloudClient, auth: string) => Promise<{ body?: unknown }>,
): Promise<unknown> {
  const client = await connectAsUser(options)
  try {
    return (await request(client, client.token ?? '')).body
  } catch (error) {
    throw cloudError(error, client, what)
  }
}
