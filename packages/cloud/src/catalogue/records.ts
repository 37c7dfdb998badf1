/**
 * What administrators decide about releases: state, notes, the default of a platform. One small file, for imported
 * releases and for those that came with the cloud.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { syncFolder, writeFileAtomic } from './atomic-file.ts'
import { ImportError } from './import-error.ts'
import { isStateWord, type StateWord } from './release-state.ts'

const filename = 'records.json'

export interface ReleaseRecord {
  readonly state?: StateWord
  readonly notes?: string
}

export interface Records {
  /** By `recordKey`. */
  readonly releases: ReadonlyMap<string, ReleaseRecord>
  /** Versions, by platform id. */
  readonly defaults: ReadonlyMap<number, string>
}

export const noRecords: Records = { releases: new Map(), defaults: new Map() }

export function recordKey(version: string, platformId: number): string {
  return `${version}/${platformId}`
}

/** @throws ImportError `unreadable` for a file that somebody broke by hand */
export async function readRecords(folder: string): Promise<Records> {
  let text: string
  try {
    text = await readFile(join(folder, filename), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return noRecords
    throw error
  }
  const { releases = {}, defaults = {} } = parse(folder, text)
  return {
    releases: new Map(
      Object.entries(releases).map(([key, { state, notes }]) => [
        key,
        {
          ...(typeof state === 'string' && isStateWord(state) && { state }),
          ...(typeof notes === 'string' && { notes }),
        },
      ]),
    ),
    defaults: new Map(
      Object.entries(defaults).flatMap(([id, version]): [number, string][] =>
        typeof version === 'string' ? [[Number(id), version]] : [],
      ),
    ),
  }
}

interface Document {
  readonly releases?: Readonly<Record<string, { readonly state?: unknown; readonly notes?: unknown }>>
  readonly defaults?: Readonly<Record<string, unknown>>
}

function parse(folder: string, text: string): Document {
  try {
    const document: unknown = JSON.parse(text)
    if (typeof document === 'object' && document !== null) return document
  } catch {
    // Said below.
  }
  throw new ImportError('unreadable', `${join(folder, filename)} is no JSON object: correct it, or remove it`)
}

export async function writeRecords(folder: string, { releases, defaults }: Records): Promise<void> {
  const document = { releases: Object.fromEntries(releases), defaults: Object.fromEntries(defaults) }
  await writeFileAtomic(folder, filename, `${JSON.stringify(document, undefined, 2)}\n`)
  await syncFolder(folder)
}
