import { rename, writeFile } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { type Platform, parseModule, platformById, platformByName } from '@aloe/firmware'
import type { Command } from 'commander'
import { CliError, exitCode } from '../cli-error.ts'
import { cloudError, connectAsUser } from '../cloud-client.ts'
import { type CommonOptions, cloudOption, makeCommand, outputOf } from '../command.ts'
import { bytes } from '../output.ts'
import { collectSources } from '../source-files.ts'

interface CompileOptions extends CommonOptions {
  readonly platform: string
  readonly target?: string
  readonly output?: string
}

export function compileCommand(): Command {
  return makeCommand({
    usage: 'compile [paths...]',
    summary: 'compile an application in the cloud',
    description:
      'Compiles TypeScript sources for one Device OS release, and writes the module file. Without paths: the folder that you are in. The application starts in src/index.ts, index.ts or main.ts. Errors come with file, line and column.',
    examples: [
      { line: 'aloe compile', what: 'the application in this folder' },
      { line: 'aloe compile ./blinky --target 1.1.0', what: 'for Device OS 1.1.0' },
      { line: 'aloe compile blinky.ts -o blinky.bin', what: 'a single file, under this name' },
    ],
  })
    .addOption(cloudOption())
    .option('--platform <name>', 'platform to compile for, by name or number', 'linux')
    .option('--target <version>', 'Device OS to compile for (default: the newest release)')
    .option('-o, --output <file>', 'file to write (default: <folder>.bin)')
    .action(compile)
}

async function compile(paths: string[], options: CompileOptions): Promise<void> {
  const output = outputOf(options)
  const platform = findPlatform(options.platform)
  const files = await collectSources(paths)
  const client = await connectAsUser(options)
  const names = Object.keys(files)
  output.note(output.colors.dim(`compiling ${names.length === 1 ? names[0] : `${names.length} files`} …`))
  let built: BuildAnswer
  let module: Buffer
  try {
    const request = {
      files,
      platformId: platform.id,
      ...(options.target !== undefined && { targetVersion: options.target }),
    }
    built = readAnswer((await client.particle.compileCode(request)).body)
    module = await binary(client.particle.downloadFirmwareBinary({ binaryId: built.id }))
  } catch (error) {
    throw cloudError(error, client, 'compile the application')
  }
  const file = options.output ?? `${basename(resolve(paths[0] ?? '.')).replace(/\.[a-z]+$/i, '')}.bin`
  await writeFile(`${file}.part`, module)
  await rename(`${file}.part`, file)
  const { dependencies } = parseModule(new Uint8Array(module))
  const result = { ok: true, file, size: module.length, target: built.target, sizeInfo: built.sizeInfo, dependencies }
  output.result(result, (colors) =>
    [
      `${colors.green('✔')} wrote ${colors.bold(file)}: ${bytes(module.length)} for ${platform.displayName}, Device OS ${built.target}`,
      `  send it with: aloe flash <device> ${file}`,
    ].join('\n'),
  )
}

interface BuildAnswer {
  readonly id: string
  readonly target: string
  readonly sizeInfo: string
}

function readAnswer(body: unknown): BuildAnswer {
  const fields: Readonly<Record<string, unknown>> = typeof body === 'object' && body !== null ? { ...body } : {}
  const { binary_id, build_target_version, sizeInfo, errors } = fields
  // Real clouds may answer a failed compilation with status 200 (cloud-api.md 1.5).
  if (typeof binary_id !== 'string') {
    throw new CliError(Array.isArray(errors) ? errors.join('\n') : 'The cloud did not answer with a binary.')
  }
  return { id: binary_id, target: String(build_target_version ?? ''), sizeInfo: String(sizeInfo ?? '') }
}

/** Declared as a response with a body, and really the bytes. */
async function binary(download: Promise<unknown>): Promise<Buffer> {
  const content = await download
  if (Buffer.isBuffer(content)) return content
  throw new CliError('The cloud did not answer with the bytes of the module.')
}

function findPlatform(name: string): Platform {
  const platform = /^\d+$/.test(name) ? platformById(Number(name)) : platformByName(name)
  if (platform !== undefined) return platform
  throw new CliError(`There is no platform ${name}.`, {
    code: exitCode.usage,
    hint: 'Aloe compiles for the platform linux.',
  })
}
