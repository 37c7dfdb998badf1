/**
 * Runs one compilation in a child process with bounds: time, memory, and what it may know of its parent.
 *
 * Time ends it with a kill of its whole process group (the checker and the bundler are its children). Memory is bounded
 * by the heap limit of Node, a soft limit for the checker (Go), and a watch over the group's resident memory on Linux.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { WorkerAnswer, WorkerRequest } from './worker.ts'

export interface ProcessLimits {
  /** Milliseconds until the compilation is stopped. */
  readonly time: number
  /** Bytes of resident memory of all its processes together. */
  readonly memory: number
}

export type ProcessOutcome =
  | { readonly kind: 'answer'; readonly answer: WorkerAnswer }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'memory' }
  /** The process ended without an answer; `detail` is for the log. */
  | { readonly kind: 'crash'; readonly detail: string }

const watchEvery = 100
const maxDetail = 4000
const mebibyte = 1024 * 1024
const workerPath = fileURLToPath(new URL('./worker.ts', import.meta.url))

/** Runs `request` in a process of its own; resolves when that process is gone. */
export function runConfined(
  request: WorkerRequest,
  limits: ProcessLimits,
  signal: AbortSignal,
): Promise<ProcessOutcome> {
  return new Promise((resolve) => {
    const child = spawn(
      process.execPath,
      [`--max-old-space-size=${Math.max(64, Math.floor(limits.memory / mebibyte / 3))}`, workerPath],
      {
        // A group of its own, so that one signal reaches the checker and the bundler too.
        detached: process.platform !== 'win32',
        cwd: tmpdir(),
        env: environment(limits),
        serialization: 'advanced',
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
        windowsHide: true,
      },
    )
    let outcome: ProcessOutcome | undefined
    let detail = ''
    const stop = (why: ProcessOutcome) => {
      outcome ??= why
      killGroup(child)
    }
    const timer = setTimeout(() => stop({ kind: 'timeout' }), limits.time)
    const watch = setInterval(() => {
      void residentMemory(child.pid).then((used) => {
        if (used > limits.memory) stop({ kind: 'memory' })
      })
    }, watchEvery)
    const abort = () => stop({ kind: 'crash', detail: 'the compile service is closing' })
    signal.addEventListener('abort', abort, { once: true })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (detail.length < maxDetail) detail = (detail + text).slice(0, maxDetail)
    })
    child.on('message', (answer) => {
      // Only worker.ts writes here: uploaded code is read and never run.
      outcome ??= { kind: 'answer', answer: answer as WorkerAnswer }
    })
    child.once('error', (error) => {
      detail = `${detail}${error.message}`
      if (child.pid === undefined) finish()
    })
    child.once('exit', (code, reason) => {
      detail = `${detail.trim()} (exit ${code ?? reason})`
      finish()
    })
    const finish = () => {
      clearTimeout(timer)
      clearInterval(watch)
      signal.removeEventListener('abort', abort)
      killGroup(child)
      resolve(outcome ?? crash(detail))
    }
    if (signal.aborted) abort()
    else child.send(request, () => {})
  })
}

/** V8 and Go say so themselves when they ran out of memory. */
function crash(detail: string): ProcessOutcome {
  return /heap out of memory|out of memory/i.test(detail) ? { kind: 'memory' } : { kind: 'crash', detail }
}

/** Nothing of the cloud's environment goes along, for it may hold secrets. */
function environment(limits: ProcessLimits): Record<string, string> {
  const kept: Record<string, string> = { GOMEMLIMIT: `${Math.floor(limits.memory / 2)}B` }
  const systemRoot = process.env.SystemRoot
  if (systemRoot !== undefined) kept.SystemRoot = systemRoot
  return kept
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    if (process.platform === 'win32') child.kill('SIGKILL')
    else process.kill(-child.pid, 'SIGKILL')
  } catch (error) {
    // ESRCH: the group is gone already.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

/** Bytes of resident memory of a process and its descendants; 0 where `/proc` does not tell. */
async function residentMemory(pid: number | undefined): Promise<number> {
  if (pid === undefined || process.platform !== 'linux') return 0
  let pages = 0
  const queue = [pid]
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const [memory, children] = await Promise.all([
      readText(`/proc/${next}/statm`),
      readText(`/proc/${next}/task/${next}/children`),
    ])
    pages += Number(memory.split(' ')[1] ?? 0)
    queue.push(...children.split(' ').filter(Boolean).map(Number))
  }
  return pages * 4096
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    // The process ended between two looks.
    return ''
  }
}
