import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { CliError, exitCode, messageOf } from '../cli-error.ts'
import { type CommonOptions, makeCommand, outputOf } from '../command.ts'
import { readLimits } from '../limits-file.ts'
import { nextStop } from '../stop-signal.ts'

interface UpOptions extends CommonOptions {
  readonly host: string
  readonly httpPort: number
  readonly tcpPort: number
  readonly udpPort: number
  readonly dataDir: string
  readonly adminUsername?: string
  readonly adminPassword?: string
  readonly openEnrolment?: boolean
  readonly openRegistration?: boolean
  readonly trustProxy?: string
  readonly mailCommand?: string
  readonly mailFrom?: string
  readonly limits?: string
  readonly publicUrl?: string
  readonly allowPrivateWebhooks?: true | string[]
  readonly metricsToken?: string
  readonly httpsCert?: string
  readonly httpsKey?: string
  readonly releases?: string[]
  readonly logLevel?: string
}

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'silent']

export function upCommand(): Command {
  return makeCommand({
    usage: 'up',
    summary: 'start a cloud on this machine',
    description:
      'Starts a cloud and runs it until you stop it with Ctrl+C. The first start makes keys, an administrator and the catalogue of Device OS releases in the data folder. It listens on this machine only, unless --host says otherwise.',
    examples: [
      { line: 'aloe up', what: 'on http://127.0.0.1:8080, data in ./data' },
      { line: 'aloe up --host 0.0.0.0 --public-url http://192.168.1.10:8080', what: 'for devices in your network' },
      {
        line: 'aloe up --http-port 0 --tcp-port 0 --data-dir /tmp/a --json',
        what: 'free ports, for scripts and tests',
      },
      { line: 'ALOE_ADMIN_PASSWORD=secret aloe up', what: 'with a password of your own, or a new one' },
    ],
  })
    .addOption(new Option('--host <address>', 'address to listen on').env('ALOE_HOST').default('127.0.0.1'))
    .addOption(port('--http-port', 'port of the API; 0 takes a free one', 'ALOE_HTTP_PORT', 8080))
    .addOption(port('--tcp-port', 'port for devices that speak TCP; 0 takes a free one', 'ALOE_TCP_PORT', 5683))
    .addOption(port('--udp-port', 'port for devices that speak UDP; 0 takes a free one', 'ALOE_UDP_PORT', 5684))
    .addOption(new Option('--data-dir <folder>', 'where everything is kept').env('ALOE_DATA_DIR').default('./data'))
    .addOption(new Option('--admin-username <name>', 'the administrator (default: admin)').env('ALOE_ADMIN_USERNAME'))
    .addOption(
      new Option('--admin-password <password>', 'its password, also later on (default: a random one)').env(
        'ALOE_ADMIN_PASSWORD',
      ),
    )
    .option('--open-enrolment', 'let in devices with unknown keys: for labs only (env: ALOE_OPEN_ENROLMENT)')
    .option('--open-registration', 'let anybody make a user (env: ALOE_OPEN_REGISTRATION)')
    .addOption(
      new Option('--trust-proxy <addresses>', 'proxies in front of it, e.g. 127.0.0.1,10.0.0.0/8').env(
        'ALOE_TRUST_PROXY',
      ),
    )
    .addOption(
      new Option('--mail-command <command>', 'sends mail, e.g. "sendmail -t" (default: links are logged)').env(
        'ALOE_MAIL_COMMAND',
      ),
    )
    .addOption(new Option('--mail-from <address>', 'sender of mail').env('ALOE_MAIL_FROM'))
    .addOption(
      new Option('--limits <file>', 'rates and lock-outs other than the default (docs/identity.md)').env('ALOE_LIMITS'),
    )
    .addOption(
      new Option('--public-url <url>', 'address at which clients reach the API')
        .env('ALOE_PUBLIC_URL')
        .argParser(webAddress),
    )
    .addOption(
      new Option('--metrics-token <token>', 'lets Prometheus read /metrics (docs/operations.md)').env(
        'ALOE_METRICS_TOKEN',
      ),
    )
    .addOption(new Option('--https-cert <file>', 'certificate (PEM): serve HTTPS').env('ALOE_HTTPS_CERT'))
    .addOption(new Option('--https-key <file>', 'key of the certificate (PEM)').env('ALOE_HTTPS_KEY'))
    .option(
      '--allow-private-webhooks [networks...]',
      'webhooks may go to addresses of private networks and of this machine, or to these only: 10.1.0.0/16 (env: ALOE_ALLOW_PRIVATE_WEBHOOKS)',
    )
    .option('--releases <folders...>', 'release folders to serve (default: build them from these sources)')
    .addOption(
      new Option('--log-level <level>', 'what is logged, on standard error (default: info; on a terminal warn)')
        .env('ALOE_LOG_LEVEL')
        .choices(logLevels),
    )
    .action(up)
}

async function up(options: UpOptions): Promise<void> {
  const output = outputOf(options)
  const stopped = nextStop()
  const https = httpsOf(options)
  // Only this command needs the cloud itself: the others start faster without it.
  const { startCloud } = await import('@aloe/cloud')
  const failed = (error: unknown): never => {
    throw startFailed(error)
  }
  const releases = options.releases ?? (await builtReleases(options.dataDir).catch(failed))
  const cloud = await startCloud({
    dataDir: options.dataDir,
    host: options.host,
    httpPort: options.httpPort,
    tcpPort: options.tcpPort,
    udpPort: options.udpPort,
    ...(options.publicUrl !== undefined && { publicUrl: options.publicUrl }),
    ...(options.metricsToken !== undefined && { metricsToken: options.metricsToken }),
    ...adminOf(options),
    ...((options.openEnrolment ?? isOn(process.env.ALOE_OPEN_ENROLMENT)) && { openEnrolment: true }),
    ...privateWebhooksOf(options),
    ...((options.openRegistration ?? isOn(process.env.ALOE_OPEN_REGISTRATION)) && { openRegistration: true }),
    ...(options.trustProxy !== undefined && { trustProxy: proxies(options.trustProxy) }),
    ...(options.mailCommand !== undefined && {
      mail: { command: options.mailCommand, ...(options.mailFrom !== undefined && { from: options.mailFrom }) },
    }),
    ...(options.limits !== undefined && { limits: await readLimits(options.limits) }),
    ...https,
    releases,
    logLevel: options.logLevel ?? (output.interactive ? 'warn' : 'info'),
  }).catch(failed)
  const ready = { ready: true, http: cloud.httpUrl, tcp: cloud.tcpPort, udp: cloud.udpPort }
  output.result(ready, (colors) => {
    const lines = [
      `${colors.green('✔')} ${colors.bold('Aloe is up')}`,
      `  API          ${colors.cyan(cloud.httpUrl)}`,
      `  devices      TCP ${options.host}:${cloud.tcpPort}${cloud.udpPort === null ? '' : `, UDP ${options.host}:${cloud.udpPort}`}`,
      `  data         ${options.dataDir}`,
    ]
    if (cloud.adminPassword !== undefined) {
      lines.push(
        `  first login  ${colors.bold(`aloe login --cloud ${cloud.httpUrl} -u ${cloud.adminUsername} -p ${cloud.adminPassword}`)}`,
        colors.dim('               (this password is shown only now)'),
      )
    }
    return [...lines, colors.dim('  Ctrl+C stops it')].join('\n')
  })
  if (options.json === true && cloud.adminPassword !== undefined) {
    process.stderr.write(
      `${JSON.stringify({ admin: { username: cloud.adminUsername, password: cloud.adminPassword } })}\n`,
    )
  }
  await stopped
  output.note('stopping …')
  await cloud.close()
}

async function builtReleases(dataDir: string): Promise<string[]> {
  const { buildReleases } = await import('@aloe/device-os')
  const folder = join(dataDir, 'device-os')
  // The database in it holds what is nobody else's business.
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  await mkdir(folder, { recursive: true })
  return (await buildReleases(folder)).map(({ dir }) => dir)
}

function httpsOf({ httpsCert, httpsKey }: UpOptions) {
  if (httpsCert === undefined && httpsKey === undefined) return {}
  if (httpsCert === undefined || httpsKey === undefined) {
    throw new CliError('HTTPS needs both --https-cert and --https-key.', { code: exitCode.usage })
  }
  return { https: { cert: httpsCert, key: httpsKey } }
}

function adminOf({ adminUsername, adminPassword }: UpOptions) {
  return {
    admin: {
      ...(adminUsername !== undefined && { username: adminUsername }),
      ...(adminPassword !== undefined && { password: adminPassword }),
    },
  }
}

function privateWebhooksOf({ allowPrivateWebhooks }: UpOptions) {
  const text = process.env.ALOE_ALLOW_PRIVATE_WEBHOOKS?.trim() ?? ''
  if (allowPrivateWebhooks !== undefined) return { allowPrivateWebhooks }
  if (text === '' || /^(0|false|no|off)$/i.test(text)) return {}
  return { allowPrivateWebhooks: isOn(text) ? true : text.split(/[\s,]+/) }
}

/** `true` trusts whoever connects: for a cloud that nothing but its proxy reaches. */
function proxies(text: string): boolean | string[] {
  if (isOn(text)) return true
  return text
    .split(',')
    .map((address) => address.trim())
    .filter((address) => address !== '')
}

/** Environment variables are text: only these are a yes. */
function isOn(text: string | undefined): boolean {
  return text !== undefined && /^(1|true|yes|on)$/i.test(text)
}

function port(flag: string, description: string, env: string, value: number): Option {
  return new Option(`${flag} <port>`, description)
    .env(env)
    .default(value)
    .argParser((text) => {
      const number = Number(text)
      if (text.trim() === '' || !Number.isInteger(number) || number < 0 || number > 65_535) {
        throw new InvalidArgumentError('A port is a number from 0 to 65535.')
      }
      return number
    })
}

function webAddress(text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text
  throw new InvalidArgumentError('It must be an address like http://192.168.1.10:8080.')
}

function startFailed(error: unknown): CliError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const message = messageOf(error)
  if (code === 'EADDRINUSE') {
    return new CliError(`The cloud cannot start: ${message}`, {
      hint: 'Is another cloud running? Choose other ports: --http-port, --tcp-port, --udp-port (0 takes a free one)',
      cause: error,
    })
  }
  return new CliError(`The cloud cannot start: ${message}`, { cause: error })
}
