/** A process of its own for what is measured, so that its CPU time and memory are nobody else's. */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Memory } from './children/answers.ts'
import { type CpuProfile, summarize } from './profile.ts'

/** Where profiles go; undefined for none. */
export interface ProfileFolder {
  readonly folder: string | undefined
}

export class MeasuredProcess<Ready = unknown> {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  #last = 0
  /** What the child said of itself when it was ready. */
  readonly ready: Ready

  private constructor(child: ChildProcess, ready: Ready) {
    this.#child = child
    this.ready = ready
    child.on('message', ({ number, value, error }: { number: number; value: unknown; error?: string }) => {
      const waiting = this.#waiting.get(number)
      this.#waiting.delete(number)
      if (error === undefined) waiting?.resolve(value)
      else waiting?.reject(new Error(error))
    })
    child.on('exit', (code) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the measured process ended with ${code}`))
    })
  }

  /** @param entry a file in `children/` */
  static async start<Ready>(entry: string, ...args: string[]): Promise<MeasuredProcess<Ready>> {
    const child = fork(fileURLToPath(new URL(`./children/${entry}`, import.meta.url)), args, {
      execArgv: ['--expose-gc'],
      // As bin/aloe.js does it (docs/benchmarks.md); empty: as the system does.
      env: { ...process.env, MALLOC_ARENA_MAX: process.env.MALLOC_ARENA_MAX ?? '1' },
      // Its log is written as always, into nothing.
      stdio: ['ignore', 'ignore', process.env.ALOE_BENCH_LOG ? 'inherit' : 'ignore', 'ipc'],
      serialization: 'advanced',
    })
    const ready = await new Promise<Ready>((resolve, reject) => {
      child.once('message', (message: { ready: Ready }) => resolve(message.ready))
      child.once('exit', (code) => reject(new Error(`${entry} ended with ${code}; ALOE_BENCH_LOG=1 shows its log`)))
    })
    return new MeasuredProcess(child, ready)
  }

  ask<T>(question: string, argument?: unknown): Promise<T> {
    const number = ++this.#last
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve: (value) => resolve(value as T), reject })
      this.#child.send({ number, question, argument })
    })
  }

  /** Seconds of CPU time that the process uses while `work` runs. */
  async cpuDuring(work: () => Promise<unknown>): Promise<number> {
    const before = await this.ask<number>('cpu')
    await work()
    return ((await this.ask<number>('cpu')) - before) / 1e6
  }

  memory(): Promise<Memory> {
    return this.ask<Memory>('memory')
  }

  /** Runs `work` under the profiler, writes the profile, and prints where the time went. */
  async profile({ folder }: ProfileFolder, name: string, work: () => Promise<unknown>): Promise<void> {
    if (folder === undefined) return
    await this.ask('startProfile')
    await work()
    const profile = await this.ask<CpuProfile>('stopProfile')
    await mkdir(folder, { recursive: true })
    const file = join(folder, `${name}.cpuprofile`)
    await writeFile(file, JSON.stringify(profile))
    console.error(`\nprofile of ${name} (${file}):\n${summarize(profile)}\n`)
  }

  stop(): Promise<void> {
    if (this.#child.exitCode !== null) return Promise.resolve()
    const ended = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()))
    this.#child.disconnect()
    return ended
  }
}
