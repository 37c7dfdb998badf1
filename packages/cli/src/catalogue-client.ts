/** The catalogue that `aloe device-os` works on: that of a running cloud, or that in a data folder when no cloud runs. */
import type { DescribedRelease, ImportEntry, ImportReport, ListedRelease, ReleaseChanges, StateWord } from '@aloe/cloud'
import { platformById, platformByName } from '@aloe/firmware'
import { CliError, exitCode } from './cli-error.ts'
import { type CloudClient, type CloudOptions, cloudError, connectAsUser, connectCloud } from './cloud-client.ts'

export interface CatalogueOptions extends CloudOptions {
  readonly dataDir?: string
}

export interface ReleaseList {
  readonly releases: readonly ListedRelease[]
  readonly auxiliary: readonly { readonly platform: string; readonly module: string; readonly size: number }[]
  readonly problems: readonly string[]
}

export interface ImportFields {
  readonly from: string
  readonly release?: string
  readonly state?: StateWord
  readonly notes?: string
}

export interface CatalogueClient {
  import(
    entries: readonly ImportEntry[],
    fields: ImportFields,
    onProgress: (done: number) => void,
  ): Promise<ImportReport>
  list(platform?: string): Promise<ReleaseList>
  /** @throws CliError when there is none */
  show(version: string, platform?: string): Promise<readonly DescribedRelease[]>
  update(version: string, platform: string | undefined, changes: ReleaseChanges): Promise<readonly DescribedRelease[]>
  /** @returns names of platforms */
  remove(version: string, platform?: string): Promise<readonly string[]>
  close(): Promise<void>
}

/** @param forAll what everybody may see is enough: no login is asked for */
export async function openCatalogue(options: CatalogueOptions, forAll = false): Promise<CatalogueClient> {
  if (options.dataDir !== undefined) return await openFolder(options.dataDir)
  return new CloudCatalogue(await (forAll ? connectCloud(options) : connectAsUser(options)))
}

/** Without a cloud: the folder is locked for as long as this takes. */
async function openFolder(dataDir: string): Promise<CatalogueClient> {
  const { LiveCatalogue, describeRelease, importedReleases, listReleases } = await import('@aloe/cloud')
  const folder = importedReleases(dataDir)
  const catalogue = await failing(LiveCatalogue.open({ folder }))
  const idOf = (platform: string | undefined) => (platform === undefined ? undefined : platformNamed(platform).id)
  const show = (version: string, platform?: string): readonly DescribedRelease[] => {
    const releases = describeRelease(catalogue, version, idOf(platform))
    if (releases.length === 0) throw new CliError(`There is no Device OS ${version} in ${folder}.`)
    return releases
  }
  return {
    import: async (entries, fields, onProgress) => await failing(catalogue.import(entries, { ...fields, onProgress })),
    list: async (platform) => listReleases(catalogue, idOf(platform)),
    show: async (version, platform) => show(version, platform),
    async update(version, platform, changes) {
      await failing(catalogue.update(version, idOf(platform), changes))
      return show(version, platform)
    },
    remove: async (version, platform) => await failing(catalogue.remove(version, idOf(platform))),
    close: () => catalogue.close(),
  }
}

async function failing<T>(work: Promise<T>): Promise<T> {
  const { ImportError } = await import('@aloe/cloud')
  return await work.catch((error: unknown) => {
    if (error instanceof ImportError) throw new CliError(error.message, { cause: error })
    throw error
  })
}

/** One request holds so much: less than clouds take (docs/api.md, "Limits"). */
const batchLimits = { bytes: 8 * 1024 * 1024, files: 100 }
const url = '/v1/aloe/device-os'
const perPage = 100

class CloudCatalogue implements CatalogueClient {
  readonly #client: CloudClient

  constructor(client: CloudClient) {
    this.#client = client
  }

  async import(
    entries: readonly ImportEntry[],
    fields: ImportFields,
    onProgress: (done: number) => void,
  ): Promise<ImportReport> {
    const reports: ImportReport[] = []
    let batch: [string, Uint8Array][] = []
    let size = 0
    const send = async (): Promise<void> => {
      if (batch.length === 0) return
      const form = new FormData()
      for (const [name, value] of Object.entries(fields)) form.append(name, value)
      for (const [path, bytes] of batch) form.append('file', new Blob([Uint8Array.from(bytes)]), path)
      reports.push((await this.#request('POST', url, 'import releases', form)) as ImportReport)
      batch = []
      size = 0
    }
    for (const [i, entry] of entries.entries()) {
      const left = await leftOut(entry)
      if ('report' in left) {
        reports.push(left.report)
      } else {
        if (size + left.bytes.length > batchLimits.bytes || batch.length >= batchLimits.files) await send()
        batch.push([entry.path, left.bytes])
        size += left.bytes.length
      }
      onProgress(i + 1)
    }
    await send()
    return {
      imported: reports.flatMap(({ imported }) => imported),
      duplicates: reports.flatMap(({ duplicates }) => duplicates),
      skipped: reports.flatMap(({ skipped }) => skipped),
      refused: reports.flatMap(({ refused }) => refused),
    }
  }

  /** As administrators see it; to others the public list, which has neither notes nor what is missing. */
  async list(platform?: string): Promise<ReleaseList> {
    if (this.#client.token !== undefined) {
      try {
        return (await this.#request('GET', url + queryOf({ platform }), 'list the releases')) as ReleaseList
      } catch (error) {
        if (!(error instanceof CliError) || !isStatus(error.cause, 403, 404)) throw error
      }
    }
    const platform_id = platform === undefined ? undefined : platformNamed(platform).id
    const releases: ListedRelease[] = []
    for (let page = 1; ; page++) {
      const path = `/v1/device-os/versions${queryOf({ platform_id, page, per_page: perPage })}`
      const body = (await this.#request('GET', path, 'list the releases')) as { versions?: PublicRelease[] }
      const versions = body.versions ?? []
      releases.push(...versions.map(listedOf))
      if (versions.length < perPage) return { releases, auxiliary: [], problems: [] }
    }
  }

  async show(version: string, platform?: string): Promise<readonly DescribedRelease[]> {
    return await this.#releases('GET', `${pathOf(version)}${queryOf({ platform })}`, `show Device OS ${version}`)
  }

  async update(version: string, platform: string | undefined, changes: ReleaseChanges) {
    const { allowPrerelease, ...rest } = changes
    const body = { ...rest, ...(platform !== undefined && { platform }), allow_prerelease: allowPrerelease === true }
    return await this.#releases('PUT', pathOf(version), `change Device OS ${version}`, body)
  }

  async remove(version: string, platform?: string): Promise<readonly string[]> {
    const path = `${pathOf(version)}${queryOf({ platform })}`
    const answer = await this.#request('DELETE', path, `remove Device OS ${version}`)
    return (answer as { platforms: string[] }).platforms
  }

  async close(): Promise<void> {}

  async #releases(method: string, path: string, what: string, body?: object): Promise<readonly DescribedRelease[]> {
    return ((await this.#request(method, path, what, body)) as { releases: DescribedRelease[] }).releases
  }

  /** Through fetch: the client library takes no answers of routes that it does not know with files. */
  async #request(method: string, path: string, what: string, body?: FormData | object): Promise<unknown> {
    const { token } = this.#client
    const form = body instanceof FormData
    try {
      const response = await fetch(this.#client.url + path, {
        method,
        headers: {
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(body && !form && { 'content-type': 'application/json' }),
        },
        ...(body && { body: form ? body : JSON.stringify(body) }),
      })
      const answer: unknown = await response.json().catch(() => undefined)
      if (response.ok) return answer
      throw { statusCode: response.status, body: answer }
    } catch (error) {
      throw cloudError(error, this.#client, what)
    }
  }
}

/** What need not be sent to be refused. */
async function leftOut(entry: ImportEntry): Promise<{ report: ImportReport } | { bytes: Uint8Array }> {
  const none: ImportReport = { imported: [], duplicates: [], skipped: [], refused: [] }
  const { path } = entry
  if (!/\.bin$/i.test(path) && entry.size > 0) {
    return { report: { ...none, skipped: [{ file: path, reason: 'no module file (.bin)' }] } }
  }
  const { ImportError } = await import('@aloe/cloud')
  try {
    return { bytes: await entry.read() }
  } catch (error) {
    if (!(error instanceof ImportError)) throw error
    return { report: { ...none, refused: [{ file: path, code: error.code, reason: error.message }] } }
  }
}

interface PublicRelease {
  readonly version: string
  readonly internal_version?: number
  readonly state?: string
  readonly release_state?: string
  readonly lts?: boolean
  readonly supported_platforms?: readonly number[]
  readonly default_platforms?: readonly number[]
}

function listedOf(release: PublicRelease): ListedRelease {
  const { state, release_state, lts, supported_platforms = [], default_platforms = [] } = release
  const nameOf = (id: number) => platformById(id)?.name ?? String(id)
  const prerelease = state === 'pre_release'
  const word = release_state === 'preview' ? 'preview' : prerelease ? 'pre_release' : undefined
  return {
    version: release.version,
    system_version: release.internal_version ?? 0,
    state: word ?? (release_state === 'archived' ? 'archived' : lts ? 'lts' : 'release'),
    prerelease,
    platforms: supported_platforms.map(nameOf),
    default_platforms: default_platforms.map(nameOf),
    modules: 0,
    size: 0,
    notes: '',
    missing: [],
  }
}

function platformNamed(text: string) {
  const found = platformByName(text) ?? (/^\d+$/.test(text) ? platformById(Number(text)) : undefined)
  if (!found) throw new CliError(`There is no platform ${text}.`, { code: exitCode.usage })
  return found
}

function pathOf(version: string): string {
  return `${url}/${encodeURIComponent(version)}`
}

function queryOf(fields: Readonly<Record<string, string | number | undefined>>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) query.set(name, String(value))
  return query.size === 0 ? '' : `?${query}`
}

function isStatus(cause: unknown, ...codes: number[]): boolean {
  return (
    typeof cause === 'object' && cause !== null && 'statusCode' in cause && codes.includes(Number(cause.statusCode))
  )
}
