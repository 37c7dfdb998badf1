/** Which files of an application go to the compile service, and under which names (docs/compile.md). */

import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { basename, join, relative, resolve, sep } from 'node:path'
import { CliError, exitCode } from './cli-error.ts'

/** Contents by path relative to the project, `/` between segments. */
export type SourceFiles = Record<string, Buffer>

const sourceName = /\.(?:ts|json|ino|c|cc|cpp|cxx|h|hh|hpp|hxx)$/i
const skippedFolders = new Set(['node_modules', 'build', 'dist', 'target'])
const skippedFiles = new Set(['package.json', 'package-lock.json', 'tsconfig.json'])
/** As particle-cli does; the service has its own, smaller bounds. */
const maxFileSize = 10 * 1024 * 1024

/**
 * Collects sources: of a folder all that can take part, of files just these. Files of one project keep their paths
 * relative to it, files from elsewhere go by their names.
 *
 * @throws CliError when there is nothing to compile
 */
export async function collectSources(paths: readonly string[]): Promise<SourceFiles> {
  const given = paths.length > 0 ? paths : ['.']
  const files: SourceFiles = {}
  for (const path of given) {
    const info = await stat(path).catch(() => undefined)
    if (info === undefined) throw new CliError(`There is no ${path}.`, { code: exitCode.usage })
    if (info.isDirectory()) await addFolder(files, path)
    else add(files, inProject(path) ?? basename(path), await readFile(path))
  }
  if (Object.keys(files).length === 0) {
    throw new CliError(`There are no sources in ${given.join(', ')}.`, {
      code: exitCode.usage,
      hint: 'An application starts in src/index.ts (or index.ts, or main.ts) of its folder.',
    })
  }
  return files
}

async function addFolder(files: SourceFiles, project: string): Promise<void> {
  const root = await realpath(project)
  const folders = [root]
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name)
      if (entry.name.startsWith('.')) continue
      // A link may lead anywhere; only what is really inside the project is sent.
      if (entry.isSymbolicLink() && !(await isInside(root, path))) continue
      const info = entry.isSymbolicLink() ? await stat(path) : entry
      if (info.isDirectory()) {
        if (!skippedFolders.has(entry.name) && !entry.isSymbolicLink()) folders.push(path)
        continue
      }
      const name = relative(root, path).split(sep).join('/')
      if (!info.isFile() || !(sourceName.test(entry.name) || name === 'project.properties')) continue
      if (skippedFiles.has(entry.name)) continue
      if ((await stat(path)).size <= maxFileSize) add(files, name, await readFile(path))
    }
  }
}

function add(files: SourceFiles, name: string, content: Buffer): void {
  if (files[name] !== undefined) {
    throw new CliError(`Two of the files have the name ${name}.`, {
      code: exitCode.usage,
      hint: 'Name the folder of the project instead of its files.',
    })
  }
  files[name] = content
}

/** The path relative to the working folder, when it lies inside. */
function inProject(path: string): string | undefined {
  const inside = relative(process.cwd(), resolve(path))
  return inside.startsWith('..') || resolve(inside) !== resolve(path) ? undefined : inside.split(sep).join('/')
}

async function isInside(root: string, path: string): Promise<boolean> {
  const target = await realpath(path).catch(() => undefined)
  return target?.startsWith(root + sep) === true
}
