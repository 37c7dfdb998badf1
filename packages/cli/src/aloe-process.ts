/** For tests: `aloe` as a process of its own, as a user or a script runs it. */

import { type ChildProcess, spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const starter = fileURLToPath(new URL('../../../bin/aloe.js', import.meta.url))

/** Compiling the modules again for each command is half of what a command costs. */
const compileCache = join(tmpdir(), `aloe-compiled-${process.getuid?.() ?? ''}`)

export interface AloeOptions {
  /** Added to an environment that has nothing of the tester's own profile. */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** The Node.js that runs bin/aloe.js. */
  readonly node?: string
}

export interface AloeResult {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly err: string
}

export interface AloeProcess {
  readonly child: ChildProcess
  readonly ended: Promise<AloeResult>
  /** The next line of standard output; fails when the process ends before. */
  line(): Promise<string>
}

/** Starts `aloe <args>`. */
export function startAloe(args: readonly string[], options: AloeOptions = {}): AloeProcess {
  const child = spawn(options.node ?? process.execPath, [starter, ...args], {
    cwd: options.cwd,
    env: { PATH: process.env.PATH ?? '', NO_COLOR: '1', NODE_COMPILE_CACHE: compileCache, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  let err = ''
  let read = 0
  const waiting: (() => void)[] = []
  const wake = () => {
    for (const resolve of waiting.splice(0)) resolve()
  }
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    out += text
    wake()
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  let over = false
  const ended = new Promise<AloeResult>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      over = true
      wake()
      resolve({ code, signal, out, err })
    })
  })
  return {
    child,
    ended,
    async line() {
      for (;;) {
        const end = out.indexOf('\n', read)
        if (end !== -1) {
          const line = out.slice(read, end)
          read = end + 1
          return line
        }
        if (over) throw new Error(`aloe ${args.join(' ')} ended without another line: ${err}`)
        await new Promise<void>((resolve) => waiting.push(resolve))
      }
    },
  }
}

/** Runs `aloe <args>` to its end. */
export async function runAloe(args: readonly string[], options: AloeOptions = {}): Promise<AloeResult> {
  return await startAloe(args, options).ended
}
