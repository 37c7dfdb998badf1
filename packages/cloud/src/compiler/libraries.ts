/**
 * Libraries in the source tree, where Particle's tools put them: `lib/<name>/src/…`. An application imports one by its
 * name, or by a relative path as any other file.
 */

/** By name, the file that an import of the name reaches. */
export type Libraries = ReadonlyMap<string, string>

const reserved = 'device-os'

/** @param paths of TypeScript files, relative to the project */
export function findLibraries(paths: Iterable<string>): Libraries {
  const files = new Set(paths)
  const libraries = new Map<string, string>()
  for (const path of files) {
    const name = /^lib\/([A-Za-z0-9][\w.-]*)\//.exec(path)?.[1]
    if (name === undefined || name === reserved || libraries.has(name)) continue
    const entry = ['src/index', `src/${name}`, 'index', name]
      .map((base) => `lib/${name}/${base}.ts`)
      .find((candidate) => files.has(candidate))
    if (entry !== undefined) libraries.set(name, entry)
  }
  return libraries
}

/** The place in the source tree that an import by a library's name means, as a path; undefined for other imports. */
export function libraryPath(libraries: Libraries, specifier: string): string | undefined {
  const [name = '', ...rest] = specifier.split('/')
  const entry = libraries.get(name)
  if (entry === undefined) return undefined
  return rest.length === 0 ? entry : `${folderOf(entry)}/${rest.join('/')}`
}

/** `paths` of the type checker, to the same places. @param root folder of the project, with its slash */
export function libraryPaths(libraries: Libraries, root: string): Record<string, string[]> {
  const paths: Record<string, string[]> = {}
  for (const [name, entry] of libraries) {
    paths[name] = [root + entry]
    paths[`${name}/*`] = [`${root}${folderOf(entry)}/*`]
  }
  return paths
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}
