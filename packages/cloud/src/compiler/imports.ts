/** What an import of an application may reach: the files of its upload and `device-os`, nothing else. */

import { posix } from 'node:path'

export type Resolution =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'device-os' }
  | { readonly kind: 'refused'; readonly reason: string }

import { type Libraries, libraryPath } from './libraries.ts'

const moduleName = 'device-os'

/**
 * Resolves an import inside an upload.
 *
 * Relative imports are found as written, with `.js` meaning `.ts`, with `.ts` or `.json` added, or as a folder's
 * `index.ts`, which is what the type checker does as well.
 *
 * A library in `lib/` is found by its name too.
 *
 * @param importer path of the importing file, relative to the project
 */
export function resolveImport(
  files: ReadonlyMap<string, string>,
  importer: string,
  specifier: string,
  libraries: Libraries = new Map(),
): Resolution {
  if (specifier === moduleName) return { kind: 'device-os' }
  const library = libraryPath(libraries, specifier)
  if (library !== undefined) return findFile(files, posix.normalize(library), specifier)
  if (!specifier.startsWith('./') && !specifier.startsWith('../') && specifier !== '.' && specifier !== '..') {
    return { kind: 'refused', reason: refusal(specifier) }
  }
  return findFile(files, posix.normalize(posix.join(posix.dirname(importer), specifier)), specifier)
}

function findFile(files: ReadonlyMap<string, string>, normal: string, specifier: string): Resolution {
  const path = normal.replace(/\/$/, '')
  if (path === '..' || path.startsWith('../')) return { kind: 'refused', reason: refusal(specifier) }
  const candidates = [path, path.replace(/\.js$/, '.ts'), `${path}.ts`, `${path}.json`, posix.join(path, 'index.ts')]
  const found = candidates.find((candidate) => files.has(candidate))
  if (found !== undefined) return { kind: 'file', path: found }
  return {
    kind: 'refused',
    reason: `${quoted(specifier)} is not in the upload: there is no file ${path.slice(0, 200)}`,
  }
}

/** Why an import that leads out of the upload is not followed. */
function refusal(specifier: string): string {
  return `${quoted(specifier)} cannot be imported: an application reaches only the files of its upload and '${moduleName}'`
}

function quoted(specifier: string): string {
  return `'${specifier.slice(0, 100)}'`
}
