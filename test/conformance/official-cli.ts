/** Runs the official CLI as its users do: a process, a profile folder, a terminal that is none. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder, particleCli } from './particle-cli.ts'

/** Compiling its modules again for each command is a third of what a command costs. */
const compileCache = { NODE_COMPILE_CACHE: join(cacheFolder, 'compiled') }

export interface CliResult {
  readonly code: number | null
  readonly out: string
  readonly err: string
  /** Both, without colours. */
  readonly text: string
}

export interface CliRunOptions {
  readonly cwd?: string
  /** What is typed. */
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
}

export interface CliRun {
  readonly ended: Promise<CliResult>
  /** Resolves when what was printed matches; rejects when the command ends before. */
  prints(pattern: RegExp): Promise<void>
  stop(): void
}

/** A profile: where the CLI keeps its address of the API, and who is logged in. */
export class OfficialCli {
  readonly home: string
  readonly #script: string

  /** @throws Error when the CLI is not installed */
  constructor(home: string, apiUrl: string, token?: string) {
    const script = particleCli()
    if (script === undefined) throw new Error('particle-cli is not installed: npm run conformance:install')
    this.#script = script
    this.home = home
    mkdirSync(join(home, '.particle'), { recursive: true })
    this.write({ apiUrl, ...(token !== undefined && { access_token: token }) })
  }

  /** The profile's settings (cloud-api.md 2.1). */
  get profile(): Record<string, unknown> {
    return JSON.parse(readFileSync(join(this.home, '.particle', 'particle.config.json'), 'utf8'))
  }

  write(profile: Record<string, unknown>): void {
    writeFileSync(join(this.home, '.particle', 'particle.config.json'), JSON.stringify(profile))
  }

  /** Starts a command; it is ended after a minute. */
  start(args: readonly string[], { cwd = this.home, input = '', env = {} }: CliRunOptions = {}): CliRun {
    const child: ChildProcess = spawn(process.execPath, [this.#script, ...args], {
      cwd,
      // Lower-case `home` is what the CLI looks at first.
      env: {
        PATH: process.env.PATH ?? '',
        home: this.home,
        HOME: this.home,
        NO_COLOR: '1',
        FORCE_COLOR: '0',
        ...compileCache,
        ...env,
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    let out = ''
    let err = ''
    const watchers = new Set<() => void>()
    const took = (): void => {
      for (const watcher of watchers) watcher()
    }
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      out += text
      took()
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      err += text
      took()
    })
    child.stdin?.end(input)
    const timer = setTimeout(() => child.kill('SIGKILL'), 60_000)
    const ended = new Promise<CliResult>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => {
        clearTimeout(timer)
        resolve({ code, out: plain(out), err: plain(err), text: plain(out + err) })
      })
    })
    return {
      ended,
      prints: (pattern) =>
        new Promise((resolve, reject) => {
          const look = (): void => {
            if (!pattern.test(plain(out + err))) return
            watchers.delete(look)
            resolve()
          }
          watchers.add(look)
          look()
          ended.then(() => reject(new Error(`it ended without ${pattern}: ${plain(out + err)}`)), reject)
        }),
      stop: () => child.kill('SIGTERM'),
    }
  }

  run(args: readonly string[], options?: CliRunOptions): Promise<CliResult> {
    return this.start(args, options).ended
  }
}

/** Without colours, and without what a spinner draws. */
function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what they are
  return text.replace(/\u001b\[[0-9;?]*[A-Za-z]|\r/g, '')
}
