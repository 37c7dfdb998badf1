/** Where modules are imported from: files, folders and zip archives, as a list of files that are read one at a time. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { largestModule } from './check-module.ts'
import { ImportError } from './import-error.ts'
import { bufferSource, fileSource, readArchive } from './zip-archive.ts'

export interface ImportEntry {
  /** With `/`; folders and archives are part of it, as they may say of which release the file is. */
  readonly path: string
  readonly size: number
  /** @throws ImportError */
  read(): Promise<Uint8Array>
}

/** Deeper than release folders are; a circle of links ends there. */
const deepest = 8

/**
 * The files below the given paths. What cannot be read is an entry as well, whose `read` says why: an import of a
 * thousand files goes on.
 */
export async function* importSources(paths: readonly string[]): AsyncGenerator<ImportEntry> {
  for (const path of paths) yield* sourcesBelow(path, basename(resolve(path)), 0)
}

async function* sourcesBelow(path: string, name: string, depth: number): AsyncGenerator<ImportEntry> {
  const found = await stat(path).catch((error: unknown) => failure(error))
  if (found instanceof ImportError) {
    yield broken(name, found)
  } else if (found.isDirectory()) {
    if (depth > deepest) return yield broken(name, new ImportError('unreadable', `folders are nested too deeply`))
    const children = await readdir(path).catch((error: unknown) => failure(error))
    if (children instanceof ImportError) return yield broken(name, children)
    for (const child of children.sort()) {
      // Hidden files are the system's, not a release's.
      if (!child.startsWith('.')) yield* sourcesBelow(join(path, child), `${name}/${child}`, depth + 1)
    }
  } else if (!found.isFile()) {
    yield broken(name, new ImportError('unreadable', 'it is neither a file nor a folder'))
  } else if (/\.zip$/i.test(path)) {
    yield* archiveFile(path, name)
  } else {
    yield {
      path: name,
      size: found.size,
      async read() {
        if (found.size > largestModule) throw new ImportError('too-large', `${found.size} bytes are no module`)
        return new Uint8Array(await readFile(path).catch((error: unknown) => Promise.reject(failure(error))))
      },
    }
  }
}

async function* archiveFile(path: string, name: string): AsyncGenerator<ImportEntry> {
  const entries = await readFileArchive(path).catch((error: unknown) => failure(error))
  if (entries instanceof ImportError) yield broken(name, entries)
  else yield* below(name, entries)
}

async function readFileArchive(path: string): Promise<ImportEntry[]> {
  return await readArchive(await fileSource(path), largestModule)
}

/** Files that came in a request: modules and archives, by the path that the client gave. */
export async function* uploadedSources(
  files: readonly { readonly filename: string; readonly content: Uint8Array }[],
): AsyncGenerator<ImportEntry> {
  for (const { filename, content } of files) {
    const name = filename.replaceAll('\\', '/')
    if (!/\.zip$/i.test(name)) {
      yield { path: name, size: content.length, read: async () => content }
      continue
    }
    const entries = await readArchive(bufferSource(content), largestModule).catch((error: unknown) => failure(error))
    if (entries instanceof ImportError) yield broken(name, entries)
    else yield* below(name, entries)
  }
}

function* below(name: string, entries: readonly ImportEntry[]): Generator<ImportEntry> {
  for (const entry of entries) {
    if (entry.path.endsWith('/')) continue
    // An archive in an archive is not what a release is.
    yield { path: `${name}/${entry.path}`, size: entry.size, read: () => entry.read() }
  }
}

function broken(path: string, error: ImportError): ImportEntry {
  return { path, size: 0, read: () => Promise.reject(error) }
}

function failure(error: unknown): ImportError {
  if (error instanceof ImportError) return error
  const { code, message } = error as NodeJS.ErrnoException
  return new ImportError('unreadable', `it cannot be read (${code ?? message})`, error)
}
