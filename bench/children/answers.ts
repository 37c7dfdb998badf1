/**
 * What every measured process answers to the benchmark: what it has used so far, how much memory it holds, and, when
 * asked for, a CPU profile of itself.
 */
import { Session } from 'node:inspector/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CpuProfile } from '../profile.ts'

export interface Memory {
  readonly heap: number
  /** What V8 holds for its heap, used or not. */
  readonly committed: number
  readonly external: number
  readonly rss: number
  /** Resident after an ordinary collection, with the pages that V8 keeps for later. */
  readonly rssKept: number
}

/** A question's name, with its answer; questions of one child beside the common ones are its own. */
export type Answers = Readonly<Record<string, (argument: never) => unknown>>

let profiler: Session | undefined

const common: Answers = {
  /** Microseconds of CPU time, of all threads. */
  cpu: () => {
    const { user, system } = process.cpuUsage()
    return user + system
  },
  memory: settledMemory,
  startProfile: async () => {
    profiler = new Session()
    profiler.connect()
    await profiler.post('Profiler.enable')
    await profiler.post('Profiler.setSamplingInterval', { interval: 200 })
    await profiler.post('Profiler.start')
  },
  stopProfile: async (): Promise<CpuProfile | undefined> => {
    const stopped = await profiler?.post('Profiler.stop')
    profiler?.disconnect()
    profiler = undefined
    return stopped?.profile
  },
}

/** Answers questions until the parent has gone; tells it first that all is ready. */
export function answer(own: Answers, ready: unknown = {}): void {
  const answers: Answers = { ...common, ...own }
  process.on(
    'message',
    async ({ number, question, argument }: { number: number; question: string; argument: never }) => {
      try {
        process.send?.({ number, value: await answers[question]?.(argument) })
      } catch (error) {
        process.send?.({ number, error: String(error) })
      }
    },
  )
  process.once('disconnect', () => process.exit())
  process.send?.({ ready })
}

/**
 * Memory once garbage is gone: the smallest of several looks, for the allocator gives pages back with some delay.
 *
 * The collection is of the kind with which V8 meets a lack of memory. After an ordinary one it keeps the pages that are
 * free for a while, and they still count as resident: more than all that the devices hold.
 */
async function settledMemory(): Promise<Memory> {
  const collect = globalThis.gc
  if (!collect) throw new Error('start it with --expose-gc')
  collect()
  collect()
  const rssKept = process.memoryUsage.rss()
  let best: Memory | undefined
  for (let look = 0; look < 5; look++) {
    collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
    await sleep(200)
    const { heapUsed, heapTotal, external, rss } = process.memoryUsage()
    if (!best || rss < best.rss) best = { heap: heapUsed, committed: heapTotal, external, rss, rssKept }
  }
  return best as Memory
}
