import { access, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DeviceFile } from '@aloe/device-os'
import { deviceOsRelease, deviceOsReleases } from '@aloe/firmware'
import type { Command } from 'commander'
import { CliError, exitCode, messageOf } from '../cli-error.ts'
import { type CloudClient, cloudError, connectCloud } from '../cloud-client.ts'
import { type CommonOptions, cloudOption, makeCommand, outputOf } from '../command.ts'
import { type Endpoint, endpointOf, type ProtocolOptions, protocolOption } from '../device-endpoint.ts'
import { readDeviceId } from '../device-id.ts'
import type { Output } from '../output.ts'

interface CreateOptions extends CommonOptions, ProtocolOptions {
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
      { line: 'aloe device create --dir D --name N --protocol tcp', what: 'that connects over TCP' },
      { line: 'aloe device create --dir D --name N --no-register', what: 'without any cloud' },
    ],
  })
    .requiredOption('--dir <folder>', 'the folder to make')
    .requiredOption('--name <name>', 'what the device is called')
    .option('--device-os <version>', 'Device OS to install', newestRelease())
    .option('--release <folder>', 'release folder to install it from (default: build it from these sources)')
    .option('--id <id>', 'device id, 24 hexadecimal digits (default: a new one)')
    .addOption(protocolOption('tcp or udp: how it connects (default: udp, if the cloud has it)'))
    .option('--no-register', 'do not talk to a cloud: the device does not know one then')
    .addOption(cloudOption())
    .action(create)
}

async function create(options: CreateOptions): Promise<void> {
  const output = outputOf(options)
  const id = options.id === undefined ? undefined : readDeviceId(options.id)
  const version = knownRelease(options.deviceOs)
  const client = options.register ? await connectCloud(options) : undefined
  const endpoint = client && (await endpointOf(client.url, options.protocol, 'udp'))
  const existed = await exists(options.dir)
  const registered = client?.token !== undefined
  // A half-made device helps nobody: the next try would find it in the way.
  const unmake = async (): Promise<void> => {
    const made = existed ? [join(options.dir, 'device.json'), join(options.dir, 'flash')] : [options.dir]
    for (const path of made) await rm(path, { recursive: true, force: true })
  }
  const device = await makeDevice(options, version, id, endpoint, unmake)
  if (client !== undefined && registered) {
    try {
      await registerDevice(client, device)
    } catch (error) {
      await unmake()
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
    protocol: device.transport ?? 'tcp',
    cloud: client?.url ?? null,
    registered,
  }
  output.result(value, (colors) =>
    [
      `${colors.green('✔')} made ${colors.bold(name)} in ${options.dir}: ${device.id}, Device OS ${deviceOs}`,
      ...registrationLines(output, client, registered, options.dir),
      `  run it with: aloe device run ${options.dir}`,
    ].join('\n'),
  )
}

function registrationLines(
  output: Output,
  client: CloudClient | undefined,
  registered: boolean,
  dir: string,
): string[] {
  if (client === undefined) return ['  it knows no cloud: aloe device run DIR --cloud URL tells it one']
  if (registered) return [`  registered at ${client.url} as yours`]
  return [
    output.colors.yellow(
      `  not registered: nobody is logged in at ${client.url}, so it is let in only with open enrolment`,
    ),
    `  log in, and register it with: aloe device add ${dir}`,
  ]
}

async function makeDevice(
  { dir, name, release, protocol }: CreateOptions,
  version: string,
  id: string | undefined,
  endpoint: Endpoint | undefined,
  unmake: () => Promise<void>,
): Promise<DeviceFile> {
  const { buildRelease, createDevice, DeviceFolderError } = await import('@aloe/device-os')
  const scratch = release === undefined ? await mkdtemp(join(tmpdir(), 'aloe-release-')) : undefined
  try {
    const folder = scratch === undefined ? (release ?? '') : (await buildRelease({ version, outDir: scratch })).dir
    const transport = endpoint?.transport ?? protocol
    return createDevice({
      dir,
      name,
      release: folder,
      ...(id !== undefined && { id }),
      ...(transport !== undefined && { transport }),
      ...endpoint?.addresses,
    })
  } catch (error) {
    if (!(error instanceof DeviceFolderError)) {
      await unmake()
      throw new CliError(`The device cannot be made in ${dir}: ${messageOf(error)}`, { cause: error })
    }
    throw new CliError(`The device cannot be made: ${error.message}.`, {
      ...(error.code === 'exists' && { hint: `Choose another folder, or run that one: aloe device run ${dir}` }),
      cause: error,
    })
  } finally {
    if (scratch !== undefined) await rm(scratch, { recursive: true, force: true })
  }
}

/** A cloud knows one key of a device: that of its transport. */
export async function registerKey(
  { particle }: CloudClient,
  { id, publicKey, transport }: Pick<DeviceFile, 'id' | 'publicKey' | 'transport'>,
): Promise<void> {
  await particle.sendPublicKey({ deviceId: id, key: publicKey, algorithm: transport === 'udp' ? 'ecc' : 'rsa' })
}

/**
 * Key, claim, name: in this order, as a device must be known before it can be claimed. A device whose name is not
 * accepted is given up again.
 */
export async function registerDevice(
  client: CloudClient,
  device: Pick<DeviceFile, 'id' | 'name' | 'publicKey' | 'transport'>,
): Promise<void> {
  const { particle } = client
  const { id, name } = device
  await registerKey(client, device)
  await particle.claimDevice({ deviceId: id })
  try {
    await particle.renameDevice({ deviceId: id, name })
  } catch (error) {
    // What it answers matters less than why the name was refused.
    await particle.removeDevice({ deviceId: id }).catch(() => undefined)
    throw error
  }
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
