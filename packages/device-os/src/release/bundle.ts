/** Bundles the body of a module: one file of CommonJS text that needs nothing but what Node has built in. */
import { readFileSync } from 'node:fs'
import type { Plugin } from 'esbuild'
import { apiModuleName, apiModuleSource } from '../wiring/api-module.ts'

export interface BundleOptions {
  /** Absolute path of the source file that exports what the module exports. */
  readonly entry: string
  /** The release whose API is bundled: newer members are left out. */
  readonly apiVersion: string
  /** The version that the bundle says it is, when it is another one. */
  readonly version: string
  /** Absolute path of `wiring/`. */
  readonly wiringFolder: string
  /** Replaces global names by JavaScript text. */
  readonly define?: Readonly<Record<string, string>>
  /** Changes a source file before it is bundled. */
  readonly transform?: (path: string, source: string) => string
}

/** The same sources give the same bytes. @throws when they cannot be bundled */
export async function bundle(options: BundleOptions): Promise<Uint8Array> {
  // Only who builds releases needs the bundler.
  const { build } = await import('esbuild')
  const result = await build({
    entryPoints: [options.entry],
    bundle: true,
    write: false,
    format: 'cjs',
    platform: 'node',
    target: 'node24',
    charset: 'utf8',
    minify: true,
    // Errors and logs name classes and functions.
    keepNames: true,
    legalComments: 'none',
    treeShaking: true,
    logLevel: 'silent',
    // The project's own settings must not change a release.
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
    ...(options.define && { define: { ...options.define } }),
    plugins: [aloePlugin(options)],
  })
  const output = result.outputFiles[0]
  if (!output) throw new Error(`nothing was bundled from ${options.entry}`)
  return output.contents
}

/** Bundles an application: what the release offers is asked for at run time. */
export async function bundleApplication(entry: string): Promise<Uint8Array> {
  const { build } = await import('esbuild')
  const result = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'cjs',
    platform: 'neutral',
    target: 'node24',
    charset: 'utf8',
    minify: true,
    legalComments: 'none',
    logLevel: 'silent',
    external: ['device-os'],
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
  })
  const output = result.outputFiles[0]
  if (!output) throw new Error(`nothing was bundled from ${entry}`)
  return output.contents
}

function aloePlugin({ apiVersion, version, wiringFolder, transform }: BundleOptions): Plugin {
  return {
    name: 'aloe',
    setup({ onLoad, onResolve }) {
      onResolve({ filter: new RegExp(`^${apiModuleName}$`) }, () => ({ path: apiModuleName, namespace: 'aloe' }))
      onLoad({ filter: /.*/, namespace: 'aloe' }, () => ({
        contents: `${apiModuleSource(apiVersion, wiringFolder)}\nrelease.version = ${JSON.stringify(version)}\n`,
        loader: 'js',
        resolveDir: wiringFolder,
      }))
      if (!transform) return
      onLoad({ filter: /\.ts$/, namespace: 'file' }, ({ path }) => ({
        contents: transform(path, readFileSync(path, 'utf8')),
        loader: 'ts',
      }))
    },
  }
}
