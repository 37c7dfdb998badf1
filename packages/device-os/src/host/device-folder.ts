/** A device's folder: `device.json` with who it is, for people and tools, and `flash/` with all that it runs from. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Platform, platformById, platformByName } from '@aloe/firmware'
import type { DeviceConfig, Transport } from '../flash/device-config.ts'
import { Flash } from '../flash/flash.ts'
import { sessionData } from '../flash/session-data.ts'
import { openRelease, type ReleaseFolder, releaseApplication, releaseModules } from '../release/release-folder.ts'
import { FileStorage } from '../storage/file-storage.ts'
import { replaceFile } from '../storage/storage.ts'
import { devicePublicKeyPem, newDeviceId, newUdpDeviceKey } from './device-identity.ts'
import { type NewDeviceOptions, newConfig } from './new-config.ts'

const deviceFile = 'device.json'

export interface DeviceFile {
  readonly id: string
  readonly name: string
  readonly platform: string
  readonly platformId: number
  /** The Device OS that it was made with. */
  readonly deviceOs: string
  /** How it reaches its cloud; TCP when it is not said. */
  readonly transport?: Transport
  /** Of that transport, PEM (SPKI): what a cloud registers. */
  readonly publicKey: string
}

export type DeviceFolderErrorCode = 'exists' | 'no-device' | 'no-platform' | 'bad-id' | 'damaged'

export class DeviceFolderError extends Error {
  readonly code: DeviceFolderErrorCode

  constructor(code: DeviceFolderErrorCode, message: string) {
    super(message)
    this.name = 'DeviceFolderError'
    this.code = code
  }
}

export function flashFolder(dir: string): string {
  return join(dir, 'flash')
}

export interface CreateDeviceOptions extends NewDeviceOptions {
  /** The folder to make. It may be there, but must not hold a device. */
  readonly dir: string
  readonly name: string
  /** The Device OS to install: a release folder, or its path. */
  readonly release: ReleaseFolder | string
  /** `linux` unless given. */
  readonly platform?: string
  /** 24 hex characters; a new one unless given. */
  readonly id?: string
  /** A module file of the application to start with; the release's own unless given, `null` for none. */
  readonly application?: Uint8Array | null
}

/**
 * Makes a device: its folder, identity, keys, and a flash with the modules of a release. Asks nothing.
 * @throws DeviceFolderError
 */
export function createDevice(options: CreateDeviceOptions): DeviceFile {
  const { dir, name } = options
  if (existsSync(join(dir, deviceFile))) throw new DeviceFolderError('exists', `there is already a device in ${dir}`)
  const platform = platformByName(options.platform ?? 'linux')
  if (!platform) throw new DeviceFolderError('no-platform', `there is no platform ${options.platform}`)
  const id = (options.id ?? newDeviceId(platform)).toLowerCase()
  if (!/^[0-9a-f]{24}$/.test(id)) throw new DeviceFolderError('bad-id', `a device id has 24 hex characters, not ${id}`)
  const release = typeof options.release === 'string' ? openRelease(options.release) : options.release
  const config = newConfig(id, options)

  mkdirSync(dir, { recursive: true })
  const flash = new Flash(new FileStorage(flashFolder(dir)), platform)
  for (const { bytes } of releaseModules(release)) flash.install(bytes)
  const application = options.application === undefined ? releaseApplication(release) : options.application
  if (application) flash.install(application)
  flash.initialize(config)
  const file: DeviceFile = {
    id,
    name,
    platform: platform.name,
    platformId: platform.id,
    deviceOs: release.manifest.version,
    ...identityOf(config),
  }
  // Last, as it says that the rest is there.
  writeDeviceFile(dir, file)
  return file
}

/** @throws DeviceFolderError when there is no device in the folder, or its file is damaged */
export function readDeviceFile(dir: string): DeviceFile {
  const path = join(dir, deviceFile)
  if (!existsSync(path)) throw new DeviceFolderError('no-device', `there is no device in ${dir}`)
  const file = parseDeviceFile(readFileSync(path, 'utf8'))
  if (!file) throw new DeviceFolderError('damaged', `${path} is damaged: it does not say which device this is`)
  return file
}

function parseDeviceFile(text: string): DeviceFile | undefined {
  let file: Partial<DeviceFile> | null
  try {
    file = JSON.parse(text)
  } catch (_error) {
    return undefined
  }
  const known = typeof file?.id === 'string' && typeof file.name === 'string' && typeof file.platformId === 'number'
  return known ? (file as DeviceFile) : undefined
}

/** Changes `device.json`, as a new name wants it. */
export function writeDeviceFile(dir: string, file: DeviceFile): void {
  replaceFile(new FileStorage(dir), deviceFile, Buffer.from(`${JSON.stringify(file, undefined, 2)}\n`))
}

/** Where a device finds its cloud by each transport. */
export type CloudAddresses = Pick<DeviceConfig, 'serverKey' | 'serverAddress' | 'udpServerKey' | 'udpServerAddress'>

const nowhere = {
  serverKey: undefined,
  serverAddress: undefined,
  udpServerKey: undefined,
  udpServerAddress: undefined,
}

/**
 * Tells a device that is not running how to reach its cloud. A device from before UDP gets a key for it.
 * @param addresses of another cloud, in place of all that the device knows; unless given it stays with its own
 * @returns `device.json` as it is now: its public key is that of the transport
 */
export function connectDevice(dir: string, transport: Transport, addresses?: CloudAddresses): DeviceFile {
  const flash = openFlash(dir)
  // The cloud ends a session when it is given another key: there is nothing to go on with.
  if (transport !== (flash.config.transport ?? 'tcp')) flash.writeData(sessionData, undefined)
  const lacksKey = transport === 'udp' && flash.config.udpDeviceKey === undefined
  flash.updateConfig({
    ...(addresses && { ...nowhere, ...addresses }),
    transport,
    ...(lacksKey && { udpDeviceKey: newUdpDeviceKey() }),
  })
  const file = { ...readDeviceFile(dir), ...identityOf(flash.config) }
  writeDeviceFile(dir, file)
  return file
}

function identityOf(config: DeviceConfig): Required<Pick<DeviceFile, 'transport' | 'publicKey'>> {
  const { transport = 'tcp', deviceKey, udpDeviceKey } = config
  const key = transport === 'udp' && udpDeviceKey ? udpDeviceKey : deviceKey
  return { transport, publicKey: devicePublicKeyPem(key, transport) }
}

/** The flash of a device that is not running: to look at it, or to change its configuration. */
export function openFlash(dir: string): Flash {
  return new Flash(new FileStorage(flashFolder(dir)), platformOf(readDeviceFile(dir)))
}

export function platformOf(file: DeviceFile): Platform {
  const platform = platformById(file.platformId)
  if (!platform) throw new DeviceFolderError('no-platform', `there is no platform ${file.platformId}`)
  return platform
}
