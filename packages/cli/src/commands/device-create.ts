import { access, mkdtemp, rm } from 'node:fs/promises'
import { isIPv4 } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DeviceFile, ServerAddress } from '@aloe/device-os'
import { deviceOsRelease, deviceOsReleases } from '@aloe/firmware'
import type { Command } from 'commander'
import { CliError, exitCode } from '../cli-error.ts'
import { type CloudClient, cloudError, connectCloud } from '../cloud-client.ts'
import { type CommonOptions, cloudOption, makeCommand, outputOf } from '../command.ts'
import { readDeviceId } from '../device-id.ts'
import type { Output } from '../output.ts'
import { readWellKnown } from '../well-known.ts'

interface CreateOptions extends CommonOptions {
  readonly dir: string
  readonly name: string
  readonly deviceOs: string
  readonly id?: string
  readonly release?: string
  readonly register: boolean
}

export function createDeviceCommand(): Command {
  return makeCommand({
    usage: 'create',
    summary: 'make a device: its folder, its keys, its id',
    description:
      'Makes a Linux device in a folder: a flash with the Device OS, a key and an id. The device is told where the cloud is, and, when you are logged in (or ALOE_TOKEN is set), registered there as yours under its name.',
    examples: [
      { line: 'aloe device create --dir ./blinky --name blinky', what: 'with the newest Device OS' },
      { line: 'aloe device create --dir ./old --name old --device-os 1.0.0', what: 'with an older one' },
      { line: 'aloe device create --dir D --name N --cloud http://cloud:8080', what: 'for that cloud' },
      { line: 'aloe device create --dir D --name N --no-register', what: 'without any cloud' },
    ],
  })
    .requiredOption('--dir <folder>', 'the folder to make')
    .requiredOption('--name <name>', 'what the device is called')
    .option('--device-os <version>', 'Device OS to install', newestRelease())
    .option('--release <folder>', 'release folder to install it from (default: build it from these sources)')
    .option('--id <id>', 'device id, 24 hexadecimal digits (default: a new one)')
    .option('--no-register', 'do not talk to a cloud: the device does not know one then')
    .addOption(cloudOption())
    .action(create)
}

async function create(options: CreateOptions): Promise<void> {
  const output = outputOf(options)
  const id = options.id === undefined ? undefined : readDeviceId(options.id)
  const version = knownRelease(options.deviceOs)
  const client = options.register ? await connectCloud(options) : undefined
  const server = client && (await serverOf(client))
  const existed = await exists(options.dir)
  const device = await makeDevice(options, version, id, server)
  const registered = client?.token !== undefined
  if (client !== undefined && registered) {
    try {
      await register(client, device)
    } catch (error) {
      // A half-made device helps nobody: the next try would find its folder in the way.
      if (!existed) await rm(options.dir, { recursive: true, force: true })
      throw cloudError(error, client, `register ${device.name}`)
    }
  }
  const { name, deviceOs, platform } = device
  const value = {
    ok: true,
    id: device.id,
    name,
    dir: options.dir,
    platform,
    device_os: deviceOs,
    cloud: client?.url ?? null,
    registered,
  }
  output.result(value, (colors) =>
    [
      `${colors.green('✔')} made ${colors.bold(name)} in ${options.dir}: ${device.id}, Device OS ${deviceOs}`,
      ...registrationLines(output, client, registered, device.id),
      `  run it with: aloe device run ${options.dir}`,
    ].join('\n'),
  )
}

function registrationLines(output: Output, client: CloudClient | undefined, registered: boolean, id: string): string[] {
  if (client === undefined) return ['  it knows no cloud: aloe device run DIR --cloud URL tells it one']
  if (registered) return [`  registered at ${client.url} as yours`]
  return [
    output.colors.yellow(
      `  not registered: nobody is logged in at ${client.url}, so it is let in only with open enrolment`,
    ),
    `  log in and make it again, or claim it once it has connected: aloe device add ${id}`,
  ]
}

interface Server {
  readonly serverKey: Uint8Array
  readonly serverAddress: ServerAddress
}

/** Where the device finds its cloud, and by which key it knows it. */
async function serverOf(client: CloudClient): Promise<Server> {
  const { tcp, keys } = await readWellKnown(client.url)
  if (tcp === undefined || keys.tcp === undefined)
    throw new CliError(`The cloud at ${client.url} does not serve devices.`)
  return { serverKey: keys.tcp, serverAddress: addressOf(tcp.host, tcp.port) }
}

export function addressOf(host: string, port: number): ServerAddress {
  return { type: isIPv4(host) ? 'ipv4' : 'domain', address: host, port }
}

async function makeDevice(
  { dir, name, release }: CreateOptions,
  version: string,
  id: string | undefined,
  server: Server | undefined,
): Promise<DeviceFile> {
  const { buildRelease, createDevice, DeviceFolderError } = await import('@aloe/device-os')
  const scratch = release === undefined ? await mkdtemp(join(tmpdir(), 'aloe-release-')) : undefined
  try {
    const folder = scratch === undefined ? (release ?? '') : (await buildRelease({ version, outDir: scratch })).dir
    return createDevice({ dir, name, release: folder, ...(id !== undefined && { id }), ...server })
  } catch (error) {
    if (!(error instanceof DeviceFolderError)) throw error
    throw new CliError(`The device cannot be made: ${error.message}.`, {
      ...(error.code === 'exists' && { hint: `Choose another folder, or run that one: aloe device run ${dir}` }),
      cause: error,
    })
  } finally {
    if (scratch !== undefined) await rm(scratch, { recursive: true, force: true })
  }
}

/** Key, claim, name: in this order, as a device must be known before it can be claimed. */
async function register({ particle }: CloudClient, { id, name, publicKey }: DeviceFile): Promise<void> {
  await particle.sendPublicKey({ deviceId: id, key: publicKey, algorithm: 'rsa' })
  await particle.claimDevice({ deviceId: id })
  await particle.renameDevice({ deviceId: id, name })
}

function knownRelease(version: string): string {
  const release = deviceOsRelease(version)
  if (release !== undefined) return release.version
  throw new CliError(`There is no Device OS ${version}.`, {
    code: exitCode.usage,
    hint: `There are: ${deviceOsReleases.map((known) => known.version).join(', ')}`,
  })
}

function newestRelease(): string {
  const finals = deviceOsReleases.filter(({ state, prerelease }) => state === 'ga' && !prerelease)
  return finals.at(-1)?.version ?? ''
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}
