/**
 * What an upload is made of: safe paths, which files are the application, and where it starts.
 *
 * An upload is untrusted: paths come out of multipart headers (cloud-api.md 0.1), so they are checked here once and
 * never used as paths of the server's own file system.
 */

import { findLibraries, type Libraries } from './libraries.ts'

/** One uploaded file: its path relative to the project, and its bytes. */
export interface UploadedFile {
  readonly path: string
  readonly content: Uint8Array
}

/** The part of an upload that takes part in a compilation. */
export interface SourceSet {
  /** Text by path, relative to the project, `/` between segments. TypeScript and JSON files only. */
  readonly files: ReadonlyMap<string, string>
  /** Path of the file that the application starts with. */
  readonly entry: string
  /** In `lib/`, by name. */
  readonly libraries: Libraries
}

export interface SourceLimits {
  readonly maxFiles: number
  /** Bytes of one file. */
  readonly maxFileSize: number
  /** Bytes of all files together. */
  readonly maxTotalSize: number
}

export const sourceLimits: SourceLimits = {
  maxFiles: 1000,
  maxFileSize: 2 * 1024 * 1024,
  maxTotalSize: 8 * 1024 * 1024,
}

/** An upload that cannot be compiled; the message is meant for the person who uploaded it. */
export class SourceError extends Error {
  override readonly name = 'SourceError'
  /** The file that is refused as a whole; undefined when it is the upload. */
  readonly file: string | undefined

  constructor(message: string, file?: string) {
    super(message)
    this.file = file
  }
}

const maxPathLength = 255
/** Where an application may start, first match first (docs/compile.md). */
const entries = ['src/index.ts', 'index.ts', 'src/main.ts', 'main.ts']
const nativeSource = /\.(?:ino|c|cc|cpp|cxx|h|hh|hpp|hxx|s)$/i
const typeScript = /\.ts$/
const declaration = /\.d\.ts$/

/**
 * Checks an upload and picks the application's files and entry out of it.
 *
 * Files that are neither TypeScript nor JSON are left out, as are `node_modules/`, `package.json` and `tsconfig.json`:
 * they could only change how imports are resolved.
 *
 * @throws SourceError when a path is unsafe, a limit is passed, the sources are C++, or no entry can be found
 */
export function readSources(upload: readonly UploadedFile[], limits: SourceLimits = sourceLimits): SourceSet {
  if (upload.length === 0) throw new SourceError('There are no files to compile.')
  if (upload.length > limits.maxFiles) {
    throw new SourceError(`Too many files: ${upload.length}; at most ${limits.maxFiles} can be compiled together.`)
  }
  const contents = new Map<string, Uint8Array>()
  let total = 0
  for (const { path, content } of upload) {
    const safe = safePath(path, upload.length === 1)
    if (contents.has(safe)) throw new SourceError(`${safe}: the upload has this file twice.`)
    if (content.length > limits.maxFileSize) {
      throw new SourceError(`${safe}: ${content.length} bytes; a file may have at most ${limits.maxFileSize}.`)
    }
    total += content.length
    contents.set(safe, content)
  }
  if (total > limits.maxTotalSize) {
    throw new SourceError(`The upload has ${total} bytes; at most ${limits.maxTotalSize} can be compiled together.`)
  }
  refuseNativeSources([...contents.keys()])

  const files = new Map<string, string>()
  let properties: ReadonlyMap<string, string> = new Map()
  for (const [path, content] of contents) {
    if (path === 'project.properties') properties = parseProperties(decode(path, content))
    else if (isApplicationFile(path)) files.set(path, decode(path, content))
  }
  const libraries = findLibraries(files.keys())
  for (const key of properties.keys()) {
    if (!key.startsWith('dependencies.')) continue
    const library = key.slice('dependencies.'.length)
    if (libraries.has(library)) continue
    throw new SourceError(
      `project.properties: libraries are not fetched (${library.slice(0, 80)}). Put its TypeScript sources into the project as lib/${library.slice(0, 80)}/src/index.ts.`,
    )
  }
  return { files, entry: findEntry(files, properties.get('main')), libraries }
}

/** Reads `key=value` lines; blank lines and those that start with `#` or `//` are skipped, the last value wins. */
export function parseProperties(text: string): ReadonlyMap<string, string> {
  const properties = new Map<string, string>()
  for (const line of text.split(/\r?\n/)) {
    const trimmed = line.trim()
    const equals = trimmed.indexOf('=')
    if (trimmed.startsWith('#') || trimmed.startsWith('//') || equals < 1) continue
    properties.set(trimmed.slice(0, equals).trim(), trimmed.slice(equals + 1).trim())
  }
  return properties
}

/** A single file may come with the absolute path of its sender's machine (cloud-api.md 0.1): its name is enough. */
function safePath(path: string, alone: boolean): string {
  const shown = JSON.stringify(path.slice(0, 80))
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(path))
    throw new SourceError(`${shown}: a file name may not have control characters.`)
  const slashed = path.replaceAll('\\', '/')
  const absolute = slashed.startsWith('/') || /^[A-Za-z]:/.test(slashed)
  if (absolute && !alone) throw new SourceError(`${shown}: paths must be relative to the project.`)
  const relative = absolute ? slashed.slice(slashed.lastIndexOf('/') + 1) : slashed
  const segments = relative.split('/').filter((segment) => segment !== '' && segment !== '.')
  if (segments.includes('..')) throw new SourceError(`${shown}: a path may not lead out of the project.`)
  const safe = segments.join('/')
  if (safe === '') throw new SourceError(`${shown}: a file needs a name.`)
  if (safe.length > maxPathLength) throw new SourceError(`${shown}…: paths have at most ${maxPathLength} characters.`)
  return safe
}

function isApplicationFile(path: string): boolean {
  if (path.split('/').includes('node_modules')) return false
  const name = path.slice(path.lastIndexOf('/') + 1)
  if (name === 'package.json' || name === 'tsconfig.json') return false
  return typeScript.test(name) || name.endsWith('.json')
}

function refuseNativeSources(paths: readonly string[]): void {
  const native = paths.filter((path) => nativeSource.test(path))
  const first = native[0]
  if (first === undefined) return
  const others = native.length > 1 ? ` and ${native.length - 1} more` : ''
  throw new SourceError(
    `C++ sources (this one${others}) cannot be compiled here, no toolchain for them is set up. ` +
      'Compile them on your machine (Particle Workbench, or make in the Device OS sources) and flash the .bin file; ' +
      'applications for the platform linux are written in TypeScript.',
    first,
  )
}

function findEntry(files: ReadonlyMap<string, string>, main: string | undefined): string {
  if (main !== undefined) {
    const path = main.replace(/^\.\//, '')
    if (files.has(path) && typeScript.test(path) && !declaration.test(path)) return path
    throw new SourceError(`project.properties: main=${main.slice(0, 80)} is not a TypeScript file of this upload.`)
  }
  const usual = entries.find((path) => files.has(path))
  if (usual !== undefined) return usual
  const programs = [...files.keys()].filter(
    (path) => typeScript.test(path) && !declaration.test(path) && !path.startsWith('lib/'),
  )
  const shallow = programs.filter((path) => !path.replace(/^src\//, '').includes('/'))
  const only = programs.length === 1 ? programs[0] : shallow.length === 1 ? shallow[0] : undefined
  if (only !== undefined) return only
  throw new SourceError(
    programs.length === 0
      ? 'There is no TypeScript file in the upload. An application starts in src/index.ts.'
      : `No file says that the application starts with it: name one src/index.ts, or write main=<file> into project.properties (there are ${programs.slice(0, 5).join(', ')}${programs.length > 5 ? ', …' : ''}).`,
  )
}

function decode(path: string, content: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(content)
  } catch {
    throw new SourceError(`${path}: the file is not UTF-8 text.`)
  }
}
