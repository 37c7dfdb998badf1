/** Reads a CPU profile: which functions the time was spent in. */
import type { Profiler } from 'node:inspector'

export type CpuProfile = Profiler.Profile

export interface FunctionShare {
  readonly name: string
  readonly place: string
  /** Share of the time that was not idle, 0 to 1. */
  readonly self: number
}

/** The functions with the largest share of their own, without what they call. */
export function functionShares(profile: CpuProfile): FunctionShare[] {
  const { nodes, samples = [], timeDeltas = [] } = profile
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const times = new Map<string, { name: string; place: string; time: number }>()
  let total = 0
  samples.forEach((id, index) => {
    const frame = byId.get(id)?.callFrame
    if (!frame || frame.functionName === '(idle)') return
    const time = timeDeltas[index] ?? 0
    total += time
    const place = placeOf(frame.url, frame.lineNumber)
    const key = `${frame.functionName} ${place}`
    const known = times.get(key)
    if (known) known.time += time
    else times.set(key, { name: frame.functionName || '(anonymous)', place, time })
  })
  return [...times.values()]
    .map(({ name, place, time }) => ({ name, place, self: time / total }))
    .sort((a, b) => b.self - a.self)
}

export function summarize(profile: CpuProfile, count = 25): string {
  return functionShares(profile)
    .slice(0, count)
    .map(({ name, place, self }) => `${(self * 100).toFixed(1).padStart(5)} %  ${name}  ${place}`)
    .join('\n')
}

function placeOf(url: string, line: number): string {
  if (url === '') return '(native)'
  const short = url.replace(/^.*\/(packages|node_modules)\//, '$1/').replace(/^file:\/\//, '')
  return `${short}:${line + 1}`
}
