/**
 * The official CLI, unmodified, for the conformance tests. It is no dependency of the project (it brings 190 MB): this
 * installs it into a cache folder, and the tests skip visibly while it is not there.
 *
 *     node test/conformance/particle-cli.ts        (npm run conformance:install)
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const particleCliVersion = '3.51.0'

/** Ranges of particle-cli 3.51.0 that the registry cannot satisfy, and what it has (cloud-api.md, "How to install"). */
const overrides = {
  'binary-version-reader': '3.1.3',
  'particle-commands': '1.0.5',
  'particle-library-manager': '1.0.6',
  'typedarray.prototype.slice': '1.0.5',
}

export const cacheFolder = process.env.ALOE_CACHE ?? fileURLToPath(new URL('../../.cache', import.meta.url))
const folder = join(cacheFolder, `particle-cli-${particleCliVersion}`)
const packageFolder = join(folder, 'node_modules', 'particle-cli')

/** The script to run with Node 22 or newer; undefined while it is not installed. */
export function particleCli(): string | undefined {
  const manifest = join(packageFolder, 'package.json')
  if (!existsSync(manifest)) return undefined
  const { bin } = JSON.parse(readFileSync(manifest, 'utf8')) as { bin: Record<string, string> }
  return bin.particle === undefined ? undefined : join(packageFolder, bin.particle)
}

/** Installs it, whole or not at all. @throws what npm throws */
export function installParticleCli(): string {
  const there = particleCli()
  if (there !== undefined) return there
  const half = `${folder}.half-${process.pid}`
  mkdirSync(half, { recursive: true })
  try {
    const manifest = { private: true, dependencies: { 'particle-cli': particleCliVersion }, overrides }
    writeFileSync(join(half, 'package.json'), JSON.stringify(manifest))
    // Its native parts are for USB and serial ports, of which the tests need none.
    const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error']
    execFileSync('npm', ['install', ...options], { cwd: half, stdio: 'inherit', env: outsideOfProject() })
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(dirname(folder), { recursive: true })
    renameSync(half, folder)
  } finally {
    rmSync(half, { recursive: true, force: true })
  }
  const installed = particleCli()
  if (installed === undefined) throw new Error('npm installed particle-cli, but there is no command in it')
  return installed
}

/**
 * `npm run` tells npm to work on this project, and puts the project's own Node first: the npm that is started here works
 * elsewhere, with the Node that it came with, which knows the machine's certificates.
 */
function outsideOfProject(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name))
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => !/node_modules[\\/]\.bin$/.test(folder))
  return { ...Object.fromEntries(kept), PATH: path.join(delimiter) }
}

if (import.meta.main) console.log(installParticleCli())
