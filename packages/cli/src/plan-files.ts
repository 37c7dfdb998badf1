/** The files that `aloe plan` reads: a catalogue, a device's describe, an application. */

import { readFile } from 'node:fs/promises'
import {
  type CatalogueModule,
  createPlanner,
  type DescribedModule,
  describeChecks,
  ModuleFormatError,
  moduleFlags,
  type OfferedApplication,
  type Platform,
  parseModule,
  ReleaseFileError,
  readBundle,
  readReleaseFile,
  type SystemDescribe,
} from '@aloe/firmware'
import { CliError, exitCode, messageOf } from './cli-error.ts'
import { findPlatform, readInstalled, readNeeds } from './plan-batch.ts'

type Fields = Readonly<Record<string, unknown>>

/** A catalogue in the form of a release file. */
export async function readCatalogue(path: string): Promise<CatalogueModule[]> {
  const document = await readJson(path)
  try {
    return readReleaseFile(document)
  } catch (error) {
    if (!(error instanceof ReleaseFileError)) throw error
    throw new CliError(`${path} is no catalogue: ${error.message}`, { code: exitCode.usage })
  }
}

export interface DescribedDevice {
  readonly platform: Platform
  readonly describe: SystemDescribe
  /** What the file says that the device shall have. */
  readonly needs: ReturnType<typeof readNeeds> & object
}

/**
 * A device from a file: as the API describes it (`GET /v1/devices/:id/aloe/describe`), as a device does
 * itself (`{"p":13,"m":[…]}`), or as a line of a batch (`{"platform":"boron","installed":[…]}`).
 */
export async function readDescribe(
  path: string,
  catalogue: readonly CatalogueModule[],
  platformName?: string,
): Promise<DescribedDevice> {
  const document = await readJson(path)
  const fail = (why: string) => new CliError(`${path} is no describe: ${why}`, { code: exitCode.usage })
  if (typeof document !== 'object' || document === null) throw fail('it is no JSON object')
  const fields = document as Fields
  const inner = 'm' in fields ? fields : ((fields.describe ?? {}) as Fields)
  const platform = findPlatform(platformName ?? fields.platform ?? inner.p)
  if (typeof platform === 'string') throw fail(`${platform}; name it with --platform`)
  const needs = readNeeds(fields.need)
  if (typeof needs === 'string') throw fail(needs)
  if (!Array.isArray(inner.m)) {
    const installed = readInstalled(fields.installed, createPlanner(platform, catalogue))
    if (typeof installed === 'string') throw fail(installed)
    const flags = { store: 'main', maxSize: 0, checked: describeChecks, passed: describeChecks } as const
    const modules: DescribedModule[] = installed.map((module) => ({ ...module, ...flags }))
    return { platform, describe: { modules }, needs }
  }
  const { describeFromJson } = await import('@aloe/cloud')
  try {
    const { assets } = fields
    const describe: SystemDescribe = {
      ...describeFromJson(inner),
      ...(Array.isArray(assets) && { assets: assets as NonNullable<SystemDescribe['assets']> }),
      ...(fields.protected === true && { protectedState: true }),
    }
    return { platform, describe, needs }
  } catch (error) {
    throw fail(messageOf(error))
  }
}

/** An application file as a plan needs to know it: a module, or a bundle with assets. */
export async function readApplication(path: string): Promise<OfferedApplication> {
  const content = new Uint8Array(await read(path))
  try {
    const file = /\.zip$/i.test(path) ? readBundle(content).application.data : content
    const module = parseModule(file)
    if (module.function !== 'user_part' || (module.flags & moduleFlags.combined) !== 0) {
      throw new CliError(`${path} is no application: it is ${module.function} ${module.index}.`, {
        code: exitCode.usage,
      })
    }
    return {
      function: 'user_part',
      index: module.index,
      version: module.version,
      dependencies: module.dependencies,
      hash: module.sha256,
      size: file.length,
      assetDependencies: module.assetDependencies,
    }
  } catch (error) {
    if (!(error instanceof ModuleFormatError)) throw error
    throw new CliError(`${path} is not a module file: ${error.message}`, { code: exitCode.usage })
  }
}

async function readJson(path: string): Promise<unknown> {
  const text = (await read(path)).toString('utf8')
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new CliError(`${path} is no JSON: ${messageOf(error)}`, { code: exitCode.usage })
  }
}

async function read(path: string): Promise<Buffer> {
  return await readFile(path).catch((error: unknown) => {
    throw new CliError(`${path} cannot be read: ${messageOf(error)}`, { code: exitCode.usage })
  })
}
