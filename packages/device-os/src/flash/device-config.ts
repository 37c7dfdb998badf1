/**
 * What a device keeps about itself besides its modules: identity, keys, where its cloud is, flags.
 *
 * (A board keeps the same things in its DCT, modules-and-platforms.md 4.5 and 4.6.) One JSON file that is only ever
 * replaced as a whole, so that no power cut leaves a mixture.
 */
import { replaceFile, type Storage } from '../storage/storage.ts'
import { FlashError } from './flash-error.ts'

export type ServerAddress =
  | { readonly type: 'ipv4'; readonly address: string; readonly port: number }
  | { readonly type: 'domain'; readonly address: string; readonly port: number }

export type Transport = 'tcp' | 'udp'

export interface DeviceConfig {
  /** 24 lower-case hex characters. */
  readonly deviceId: string
  /** The device's RSA-1024 private key, PKCS#1 DER. */
  readonly deviceKey: Uint8Array
  /** The cloud's RSA-2048 public key, SPKI DER; a device without one cannot connect. */
  readonly serverKey?: Uint8Array
  readonly serverAddress?: ServerAddress
  /** How the device reaches its cloud; TCP unless given. Each transport has keys and an address of its own. */
  readonly transport?: Transport
  /** The device's EC P-256 private key, SEC1 DER. Devices from before UDP have none. */
  readonly udpDeviceKey?: Uint8Array
  /** The cloud's EC P-256 public key, SPKI DER. */
  readonly udpServerKey?: Uint8Array
  readonly udpServerAddress?: ServerAddress
  /** Sent with the next Hello or Describe until the cloud has taken it. */
  readonly claimCode?: string
  /** A request of the last run: the next boot, and only that, starts in safe mode. */
  readonly startupMode: 'normal' | 'safe'
  /** Flags that outlive a reset, by name (system flags as in modules-and-platforms.md 4.6). */
  readonly flags: Readonly<Record<string, boolean>>
}

/** What changes; a value of undefined removes an optional field. */
export type DeviceConfigChange = { readonly [K in keyof DeviceConfig]?: DeviceConfig[K] | undefined }

const configFile = 'config.json'

interface ConfigJson {
  deviceId: string
  deviceKey: string
  serverKey?: string | undefined
  serverAddress?: ServerAddress | undefined
  transport?: Transport | undefined
  udpDeviceKey?: string | undefined
  udpServerKey?: string | undefined
  udpServerAddress?: ServerAddress | undefined
  claimCode?: string | undefined
  startupMode?: 'normal' | 'safe'
  flags?: Record<string, boolean>
}

const toBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
const fromBase64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'))

/** @throws FlashError `no-config` on a new flash, `bad-config` when the file is damaged. */
export function loadConfig(storage: Storage): DeviceConfig {
  const bytes = storage.read(configFile)
  if (!bytes) throw new FlashError('no-config', 'this flash holds no device configuration')
  let json: ConfigJson
  try {
    json = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (error) {
    throw new FlashError('bad-config', 'the device configuration is damaged', error)
  }
  if (!/^[0-9a-f]{24}$/.test(json.deviceId) || typeof json.deviceKey !== 'string') {
    throw new FlashError('bad-config', 'the device configuration has no valid device id and key')
  }
  return {
    deviceId: json.deviceId,
    deviceKey: fromBase64(json.deviceKey),
    ...(json.serverKey !== undefined && { serverKey: fromBase64(json.serverKey) }),
    ...(json.serverAddress !== undefined && { serverAddress: json.serverAddress }),
    ...((json.transport === 'tcp' || json.transport === 'udp') && { transport: json.transport }),
    ...(json.udpDeviceKey !== undefined && { udpDeviceKey: fromBase64(json.udpDeviceKey) }),
    ...(json.udpServerKey !== undefined && { udpServerKey: fromBase64(json.udpServerKey) }),
    ...(json.udpServerAddress !== undefined && { udpServerAddress: json.udpServerAddress }),
    ...(json.claimCode !== undefined && { claimCode: json.claimCode }),
    startupMode: json.startupMode === 'safe' ? 'safe' : 'normal',
    flags: { ...json.flags },
  }
}

/** Replaces the configuration atomically. */
export function saveConfig(storage: Storage, config: DeviceConfig): void {
  const json: ConfigJson = {
    deviceId: config.deviceId,
    deviceKey: toBase64(config.deviceKey),
    serverKey: config.serverKey && toBase64(config.serverKey),
    serverAddress: config.serverAddress,
    transport: config.transport,
    udpDeviceKey: config.udpDeviceKey && toBase64(config.udpDeviceKey),
    udpServerKey: config.udpServerKey && toBase64(config.udpServerKey),
    udpServerAddress: config.udpServerAddress,
    claimCode: config.claimCode,
    startupMode: config.startupMode,
    flags: { ...config.flags },
  }
  replaceFile(storage, configFile, Buffer.from(`${JSON.stringify(json, undefined, 2)}\n`))
}

/** The configuration with a change applied. */
export function changeConfig(config: DeviceConfig, change: DeviceConfigChange): DeviceConfig {
  const changed: Record<string, unknown> = { ...config }
  for (const [key, value] of Object.entries(change)) {
    if (value === undefined) delete changed[key]
    else changed[key] = value
  }
  return changed as unknown as DeviceConfig
}
