/**
 * Before a pre-release of the Device OS goes to a device that does its work: people are told, and asked.
 *
 * A device of a product that is not marked as a development device is in production; a device of no product has no such
 * mark, so a pre-release is asked for there as well.
 */
import { type FirmwareModule, ModuleFormatError, parseModule } from '@aloe/firmware'
import { CliError, exitCode } from './cli-error.ts'
import type { CloudClient } from './cloud-client.ts'
import { type Device, readDevice } from './device-object.ts'
import type { Output } from './output.ts'
import { confirm } from './prompt.ts'

export const allowPrereleaseFlag = '--allow-prerelease'

export interface Prerelease {
  readonly version: string
  readonly state: 'pre-release' | 'preview'
}

/** What is sent: a version to compile for, or a module file. */
export type Sent = { readonly target?: string | undefined; readonly file?: Uint8Array | undefined }

/**
 * Asks before a device is brought to a pre-release. Nothing is asked when it runs that release already, or when the
 * cloud does not know the release or the device: then it refuses by itself.
 *
 * @throws CliError when the answer is no, or there is nobody to ask
 */
export async function guardPrerelease(
  client: CloudClient,
  deviceId: string,
  sent: Sent,
  allowed: boolean,
  output: Output,
): Promise<void> {
  const asked = versionAsked(sent)
  if (asked === undefined) return
  const device = await deviceOf(client, deviceId)
  if (device?.platformId === undefined) return
  const release = await prereleaseOf(client, asked, device.platformId)
  if (!release || release.version === device.systemVersion) return
  const what = `Device OS ${release.version} is a ${release.state}`
  const kind = kindOf(device)
  output.note(output.colors.yellow(`${what}${kind === 'development' ? '' : `, and ${deviceId} is ${kindText[kind]}`}`))
  if (allowed || kind === 'development') return
  if (output.json || !process.stdin.isTTY) {
    throw new CliError(`${what}, and ${deviceId} is ${kindText[kind]}.`, {
      code: exitCode.usage,
      hint: `If that is what you want, say ${allowPrereleaseFlag}.`,
    })
  }
  if (!(await confirm('Send it all the same', allowPrereleaseFlag))) throw new CliError('Nothing was sent.')
}

const kindText = { production: 'a device in production', single: 'not marked as a development device' } as const

/** By the fields of the device object (cloud-api.md 3.1). */
export function kindOf(device: Device): 'development' | 'production' | 'single' {
  const { product_id, development } = device.raw as Readonly<Record<string, unknown>>
  if (development === true) return 'development'
  return typeof product_id === 'number' && product_id !== device.platformId ? 'production' : 'single'
}

/** The release by its version, or by the number of the system part that is sent or needed. */
export function versionAsked({ target, file }: Sent): string | undefined {
  if (target !== undefined) return target
  if (!file) return undefined
  let module: FirmwareModule
  try {
    module = parseModule(file)
  } catch (error) {
    if (error instanceof ModuleFormatError) return undefined
    throw error
  }
  if (module.function === 'system_part' || module.function === 'mono_firmware') return String(module.version)
  const system = module.dependencies.find((dependency) => dependency.function === 'system_part')
  return module.function === 'user_part' && system ? String(system.version) : undefined
}

async function deviceOf({ particle, token }: CloudClient, deviceId: string): Promise<Device | undefined> {
  try {
    const { body } = await particle.getDevice({ deviceId, ...(token !== undefined && { auth: token }) })
    return readDevice(body)
  } catch {
    // What follows fails with the same, and says it better.
    return undefined
  }
}

async function prereleaseOf(client: CloudClient, version: string, platformId: number): Promise<Prerelease | undefined> {
  try {
    const { body } = await client.particle.getDeviceOsVersion({ version, platformId })
    const { version: found, state, release_state }: Readonly<Record<string, unknown>> = { ...body }
    if (typeof found !== 'string') return undefined
    if (state === 'pre_release') return { version: found, state: 'pre-release' }
    return release_state === 'preview' ? { version: found, state: 'preview' } : undefined
  } catch {
    return undefined
  }
}
