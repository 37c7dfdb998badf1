/** Bundles: an application with its assets in one zip archive (modules-and-platforms.md 1.9). */

import { ModuleFormatError, ModuleSpecError } from '../module/error.ts'
import { addAssetDependencies, removeAssetDependencies } from '../module/extend.ts'
import { parseModule } from '../module/parse.ts'
import { type AssetFile, assetRef } from './asset-module.ts'
import { environmentAsset, environmentAssetName } from './environment.ts'
import { readZip, writeZip, type ZipEntry } from './zip.ts'

export interface Bundle {
  readonly application: AssetFile
  /** Raw files, not modules; `env` among them when there are environment variables. */
  readonly assets: readonly AssetFile[]
  readonly environment?: Readonly<Record<string, string>>
}

const assetFolder = 'assets/'
const environmentFile = 'env.json'
const defaultMaxSize = 32 * 1024 * 1024

/**
 * Packs an application and its assets. The application is rewritten to depend on exactly these.
 *
 * @throws ModuleSpecError when the application no longer fits, or is not for the given assets
 */
export function buildBundle(bundle: Bundle): Uint8Array {
  const assets = bundle.assets.filter((asset) => asset.name !== environmentAssetName || !bundle.environment)
  if (bundle.environment) assets.push(environmentAsset(bundle.environment))
  const names = new Set(assets.map((asset) => asset.name))
  if (names.size !== assets.length) throw new ModuleSpecError('assets', 'two assets have the same name')
  for (const name of names) {
    if (name === '' || name.includes('/'))
      throw new ModuleSpecError('assets', `${JSON.stringify(name)} is no file name`)
  }
  if (!bundle.application.name.endsWith('.bin')) {
    throw new ModuleSpecError('application', 'the name of the application must end with .bin')
  }
  const bare = removeAssetDependencies(bundle.application.data)
  const data = assets.length > 0 ? addAssetDependencies(bare, assets.map(assetRef)) : bare
  const entries: ZipEntry[] = [{ path: bundle.application.name, data }]
  for (const asset of assets) entries.push({ path: assetFolder + asset.name, data: asset.data })
  if (bundle.environment) {
    const json = `${JSON.stringify(bundle.environment, undefined, 2)}\n`
    entries.push({ path: environmentFile, data: new TextEncoder().encode(json) })
  }
  return writeZip(entries)
}

/**
 * Unpacks a bundle. Every asset that the application depends on must be there, with the content that
 * it names.
 *
 * @param maxSize most bytes that the archive may unpack to; 32 MiB unless given
 * @throws ModuleFormatError
 */
export function readBundle(bytes: Uint8Array, maxSize = defaultMaxSize): Bundle {
  const entries = readZip(bytes, maxSize)
  const applications = entries.filter(({ path }) => path.endsWith('.bin') && !path.includes('/'))
  const [application] = applications
  if (!application || applications.length > 1) {
    throw new ModuleFormatError('bundle', 0, `a bundle has one application (.bin), this one has ${applications.length}`)
  }
  const assets = entries
    .filter(({ path }) => path.startsWith(assetFolder) && path.length > assetFolder.length)
    .map(({ path, data }) => ({ name: path.slice(assetFolder.length), data }))
    .filter(({ name }) => !name.includes('/'))
  const module = parseModule(application.data, { intact: true })
  for (const { name, hash } of module.assetDependencies) {
    const asset = assets.find((other) => other.name === name)
    if (!asset) throw new ModuleFormatError('bundle', 0, `asset ${name} is not in the bundle`)
    if (assetRef(asset).hash !== hash) {
      throw new ModuleFormatError('bundle', 0, `asset ${name} is not the one that the application was built for`)
    }
  }
  const environment = entries.find(({ path }) => path === environmentFile)
  return {
    application: { name: application.path, data: application.data },
    assets,
    ...(environment && { environment: readEnvironment(environment.data) }),
  }
}

function readEnvironment(data: Uint8Array): Record<string, string> {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data))
  } catch (error) {
    throw new ModuleFormatError(
      'bundle',
      0,
      `${environmentFile} is no JSON: ${error instanceof Error ? error.message : ''}`,
    )
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ModuleFormatError('bundle', 0, `${environmentFile} holds no object`)
  }
  const environment: Record<string, string> = {}
  for (const [name, text] of Object.entries(value)) {
    if (typeof text !== 'string') throw new ModuleFormatError('bundle', 0, `${environmentFile}: ${name} is no text`)
    environment[name] = text
  }
  return environment
}
