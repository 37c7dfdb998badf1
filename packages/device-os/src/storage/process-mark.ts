/**
 * Which process a file speaks of. A process is known by its id and the moment it started (where the system tells), so
 * that an id that was given to somebody else meanwhile is not taken for it.
 */
import { readFileSync } from 'node:fs'

export interface ProcessMark {
  readonly pid: number
  /** Clock ticks since the machine started, of the process's start; undefined where there is no /proc. */
  readonly started?: string
}

function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // Fields are counted from behind the name, which may hold anything: state is field 3, starttime field 22 (proc(5)).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

export function processMark(pid: number): ProcessMark {
  const started = startOf(pid)
  return started === undefined ? { pid } : { pid, started }
}

export function isAlive(process_: ProcessMark): boolean {
  if (process_.started !== undefined) return startOf(process_.pid) === process_.started
  try {
    process.kill(process_.pid, 0)
    return true
  } catch {
    return false
  }
}

export function readMark(path: string): ProcessMark | undefined {
  try {
    const value: ProcessMark = JSON.parse(readFileSync(path, 'utf8'))
    return Number.isInteger(value.pid) && value.pid > 0 ? value : undefined
  } catch {
    return undefined
  }
}
