/**
 * Type-checks an application against the types of one Device OS release.
 *
 * TypeScript 7 runs as a process of its own and asks this one for every file (libraries.md, "Types"): each question is
 * answered here, so the checker sees the upload, the release's types and its own libraries, and no other file.
 */

import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { API, type Diagnostic, type Project } from 'typescript/unstable/async'
import { type CompileDiagnostic, lineAndColumn } from './diagnostics.ts'
import { resolveImport } from './imports.ts'
import { libraryPaths } from './libraries.ts'
import { type ApiFunction, explainMissing, type MissingName } from './missing-function.ts'
import type { SourceSet } from './sources.ts'

export interface ReleaseTypes {
  /** Version of the release that is compiled for. */
  readonly version: string
  /** Text of its `device-os.d.ts`. */
  readonly text: string
  /** Functions that the release lacks and that another release has, with the first release that has them. */
  readonly missing: readonly ApiFunction[]
}

const root = '/upload/'
const typesPath = '/types/device-os.d.ts'
const configPath = '/tsconfig.json'

/** What an application is checked with; its own tsconfig.json is not read. */
const compilerOptions = {
  target: 'es2024',
  lib: ['es2024'],
  types: [],
  module: 'esnext',
  moduleResolution: 'bundler',
  moduleDetection: 'force',
  strict: true,
  noEmit: true,
  isolatedModules: true,
  resolveJsonModule: true,
  allowImportingTsExtensions: true,
  skipLibCheck: true,
  paths: { 'device-os': [typesPath] },
}

/** Errors of an application; empty when it fits the release. */
export async function typeCheck(sources: SourceSet, types: ReleaseTypes): Promise<CompileDiagnostic[]> {
  const virtual = virtualFiles(sources, types)
  const libraries = libraryFolder()
  const api = new API({ cwd: '/', fs: confinedFileSystem(virtual, libraries) })
  try {
    const snapshot = await api.updateSnapshot({ openProjects: [configPath] })
    const project = snapshot.getProject(configPath)
    if (project === undefined) throw new Error('the type checker did not open the project')
    const found = await allDiagnostics(project)
    const diagnostics: CompileDiagnostic[] = []
    for (const diagnostic of found) {
      if (diagnostic.fileName !== undefined && !diagnostic.fileName.startsWith(root)) {
        // The release's own types are not the application's fault, but an error in them must not pass for success.
        diagnostics.push({ file: '', line: 0, column: 0, message: `Device OS ${types.version}: ${words(diagnostic)}` })
        continue
      }
      diagnostics.push(await toDiagnostic(project, sources, virtual, types, diagnostic))
    }
    return diagnostics
  } finally {
    await api.close()
  }
}

function virtualFiles(sources: SourceSet, types: ReleaseTypes): ReadonlyMap<string, string> {
  const ambient = [...sources.files.keys()].filter((path) => path.endsWith('.d.ts') && path !== sources.entry)
  const paths = { ...libraryPaths(sources.libraries, root), ...compilerOptions.paths }
  const config = {
    compilerOptions: { ...compilerOptions, paths },
    files: [sources.entry, ...ambient].map((path) => root + path),
  }
  const files = new Map([
    [configPath, JSON.stringify(config)],
    [typesPath, types.text],
  ])
  for (const [path, text] of sources.files) files.set(root + path, text)
  return files
}

/** No answer may be undefined: that would make the checker look into the real file system. */
function confinedFileSystem(virtual: ReadonlyMap<string, string>, libraries: string) {
  const folders = new Set<string>(['/'])
  for (const path of virtual.keys()) {
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) folders.add(path.slice(0, at))
  }
  const isLibrary = (path: string) =>
    path.startsWith(libraries) && /^lib(?:\.[a-z0-9]+)*\.d\.ts$/.test(path.slice(libraries.length))
  return {
    fileExists: (path: string) => virtual.has(path) || isLibrary(path),
    directoryExists: (path: string) => folders.has(path.length > 1 ? path.replace(/\/$/, '') : path),
    getAccessibleEntries: () => ({ files: [], directories: [] }),
    realpath: (path: string) => path,
    // undefined sends the checker to the real file, which only its own libraries may have.
    readFile: (path: string) => virtual.get(path) ?? (isLibrary(path) ? undefined : null),
  }
}

/** Where TypeScript keeps lib.*.d.ts: beside its executable. */
function libraryFolder(): string {
  const require = createRequire(import.meta.resolve('typescript/package.json'))
  const platform = require.resolve(`@typescript/typescript-${process.platform}-${process.arch}/package.json`)
  return `${join(dirname(platform), 'lib').replaceAll('\\', '/')}/`
}

async function allDiagnostics(project: Project): Promise<readonly Diagnostic[]> {
  const { program } = project
  const early = [
    ...(await program.getConfigFileParsingDiagnostics()),
    ...(await program.getProgramDiagnostics()),
    ...(await program.getSyntacticDiagnostics()),
  ]
  // A file that does not parse has a hundred follow-up errors that help nobody.
  if (early.length > 0) return unique(early)
  return unique([...(await program.getGlobalDiagnostics()), ...(await program.getSemanticDiagnostics())])
}

function unique(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const seen = new Set<string>()
  return diagnostics.filter(({ fileName, pos, code, text }) => {
    const key = JSON.stringify([fileName, pos, code, text])
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}

async function toDiagnostic(
  project: Project,
  sources: SourceSet,
  virtual: ReadonlyMap<string, string>,
  types: ReleaseTypes,
  diagnostic: Diagnostic,
): Promise<CompileDiagnostic> {
  const { fileName, pos, end } = diagnostic
  const text = fileName === undefined ? undefined : virtual.get(fileName)
  if (fileName === undefined || text === undefined) return { file: '', line: 0, column: 0, message: words(diagnostic) }
  const message = (await explain(project, sources, types, diagnostic, fileName, text)) ?? words(diagnostic)
  const { line, column } = lineAndColumn(text, skipSpace(text, pos, end))
  return { file: fileName.slice(root.length), line, column, message }
}

/** Better words than the checker's own, where this cloud knows more; undefined otherwise. */
async function explain(
  project: Project,
  sources: SourceSet,
  types: ReleaseTypes,
  diagnostic: Diagnostic,
  fileName: string,
  text: string,
): Promise<string | undefined> {
  const marked = text.slice(diagnostic.pos, diagnostic.end).trim()
  const specifier = /^(['"])(.*)\1$/.exec(marked)?.[2]
  // 2307 and 2591: no such module (the latter for modules of Node.js); 2882: the same for an import without names.
  if (specifier !== undefined && [2307, 2591, 2882].includes(diagnostic.code)) {
    const resolution = resolveImport(sources.files, fileName.slice(root.length), specifier, sources.libraries)
    return resolution.kind === 'refused' ? `${resolution.reason}.` : undefined
  }
  // 2580, 2591, 2584: names of Node.js and of browsers, with advice that does not apply here. 2304: any unknown name.
  const foreign = foreignName(marked)
  if ([2580, 2591, 2584].includes(diagnostic.code) || (diagnostic.code === 2304 && foreign !== undefined)) {
    const advice = foreign === undefined ? '' : ` Use ${foreign} of 'device-os'.`
    return `There is no ${marked}: an application has the language itself (ES2024) and 'device-os'.${advice}`
  }
  const missing = await missingName(project, diagnostic, fileName, text)
  return missing && explainMissing(missing, types.version, types.missing)
}

/** What `device-os` has instead of a well-known global. */
function foreignName(name: string): string | undefined {
  if (name === 'console') return 'Log'
  if (name === 'setTimeout') return 'delay or Timer'
  return name === 'setInterval' ? 'Timer' : undefined
}

/** The name of `device-os` that an error complains about, when it is one of those. */
async function missingName(
  project: Project,
  diagnostic: Diagnostic,
  fileName: string,
  text: string,
): Promise<MissingName | undefined> {
  // 2305, 2724: the module has no such export.
  if (diagnostic.code === 2305 || diagnostic.code === 2724) {
    const name = /has no exported member (?:named )?'([^']+)'/.exec(diagnostic.text)?.[1]
    return diagnostic.text.includes('"device-os"') && name !== undefined ? { name } : undefined
  }
  // 2339, 2551: the object has no such property.
  if (diagnostic.code !== 2339 && diagnostic.code !== 2551) return undefined
  const name = /^Property '([^']+)' does not exist/.exec(diagnostic.text)?.[1]
  if (name === undefined) return undefined
  const before = /([\p{ID_Continue}$]+)\s*[?!]?\.\s*$/u.exec(text.slice(0, diagnostic.pos))
  const owner = before?.[1]
  if (before === null || owner === undefined) {
    // Destructuring has no object in front; the checker names the type.
    const type = /on type '(?:typeof )?([\w$.]+)'/.exec(diagnostic.text)?.[1]
    return type === undefined ? undefined : { name, type }
  }
  const type = await project.checker.getTypeAtPosition(fileName, before.index)
  const symbol = await type?.getSymbol()
  const ofRelease = symbol?.declarations.some(({ path }) => path === typesPath) ?? false
  return ofRelease ? { name, owner, certain: true } : undefined
}

function words(diagnostic: Diagnostic): string {
  const chain = (diagnostic.messageChain ?? []).map((next) => words(next).replaceAll(/^/gm, '  '))
  const code = ` (TS${diagnostic.code})`
  return [diagnostic.text + (chain.length > 0 ? '' : code), ...chain].join('\n')
}

function skipSpace(text: string, from: number, to: number): number {
  let at = from
  while (at < to && /\s/.test(text[at] ?? '')) at += 1
  return at
}
