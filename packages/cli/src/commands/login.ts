import type { Command } from 'commander'
import { CliError, exitCode } from '../cli-error.ts'
import { type CloudClient, cloudError, connectAsUser, connectCloud } from '../cloud-client.ts'
import { type CommonOptions, cloudOption, makeCommand, outputOf } from '../command.ts'
import { type Login, profilePath, readProfile, withLogin, withoutLogin, writeProfile } from '../login-profile.ts'
import { ask, askSecret } from '../prompt.ts'

interface LoginOptions extends CommonOptions {
  readonly username?: string
  readonly password?: string
  readonly token?: string
}

export function loginCommand(): Command {
  return makeCommand({
    usage: 'login',
    summary: 'log in at a cloud',
    description:
      'Logs in at a cloud and remembers it in ~/.aloe/profile.json (mode 600). Later commands use that login and talk to that cloud.',
    examples: [
      { line: 'aloe login', what: 'ask for name and password' },
      { line: 'aloe login --cloud http://cloud.local:8080 -u admin', what: 'at another cloud' },
      { line: 'aloe login -u admin -p "$PASSWORD"', what: 'without questions, for scripts' },
      { line: 'aloe login --token "$TOKEN"', what: 'with a token that you have' },
    ],
  })
    .addOption(cloudOption())
    .option('-u, --username <name>', 'your name at the cloud (or ALOE_ADMIN_USERNAME)')
    .option('-p, --password <password>', 'your password (or ALOE_ADMIN_PASSWORD)')
    .option('-t, --token <token>', 'an access token, instead of a password')
    .action(login)
}

async function login(options: LoginOptions): Promise<void> {
  const output = outputOf(options)
  const client = await connectCloud(options)
  const entry = options.token === undefined ? await byPassword(client, options) : await byToken(client, options.token)
  await writeProfile(withLogin(await readProfile(), client.url, entry))
  output.result(
    { ok: true, cloud: client.url, username: entry.username, expires_at: entry.expiresAt },
    (colors) => `${colors.green('✔')} logged in at ${client.url} as ${colors.bold(entry.username)}`,
  )
}

async function byPassword(client: CloudClient, options: LoginOptions): Promise<Login> {
  const username = options.username ?? process.env.ALOE_ADMIN_USERNAME ?? (await ask('Name', '--username'))
  const password = options.password ?? process.env.ALOE_ADMIN_PASSWORD ?? (await askSecret('Password', '--password'))
  try {
    const { body } = await client.particle.login({ username, password })
    const { access_token: token, expires_in: seconds } = body
    return { username, token, expiresAt: seconds ? new Date(Date.now() + seconds * 1000).toISOString() : null }
  } catch (error) {
    const failure = cloudError(error, client, `log in as ${username}`)
    if (failure.code !== exitCode.failed) throw failure
    throw new CliError(failure.message, { code: exitCode.notLoggedIn, cause: error })
  }
}

async function byToken(client: CloudClient, token: string): Promise<Login> {
  try {
    const { body } = await client.particle.getUserInfo({ auth: token })
    return { username: body.username, token, expiresAt: null }
  } catch (error) {
    throw cloudError(error, client, 'log in with that token')
  }
}

export function logoutCommand(): Command {
  return makeCommand({
    usage: 'logout',
    summary: 'log out, and revoke the token',
    examples: [{ line: 'aloe logout', what: 'at the cloud of your last login' }],
  })
    .addOption(cloudOption())
    .action(async (options: CommonOptions) => {
      const output = outputOf(options)
      const client = await connectAsUser(options)
      const profile = await readProfile()
      const kept = profile.logins[client.url]
      let revoked = true
      try {
        await client.particle.deleteCurrentAccessToken({})
      } catch (error) {
        // The login is forgotten in any case: an expired token or a cloud that is gone must not keep it.
        const failure = cloudError(error, client, 'revoke the token')
        revoked = false
        if (failure.code !== exitCode.notLoggedIn)
          output.note(`${failure.message}\nThe token stays valid there until it expires.`)
      }
      if (kept !== undefined) await writeProfile(withoutLogin(profile, client.url))
      output.result(
        { ok: true, cloud: client.url, revoked },
        (colors) => `${colors.green('✔')} logged out at ${client.url}`,
      )
    })
}

export function whoamiCommand(): Command {
  return makeCommand({
    usage: 'whoami',
    summary: 'print who is logged in, and where',
    examples: [{ line: 'aloe whoami --json', what: 'for scripts' }],
  })
    .addOption(cloudOption())
    .action(async (options: CommonOptions) => {
      const client = await connectAsUser(options)
      let username: string
      try {
        username = (await client.particle.getUserInfo({})).body.username
      } catch (error) {
        throw cloudError(error, client, 'ask who you are')
      }
      if (typeof username !== 'string') {
        throw new CliError(`The cloud at ${client.url} does not know you.`, { hint: `See ${profilePath()}` })
      }
      outputOf(options).result({ username, cloud: client.url }, (colors) => `${colors.bold(username)} at ${client.url}`)
    })
}
