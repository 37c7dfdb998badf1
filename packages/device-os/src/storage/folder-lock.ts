/** A lock on a folder, for one process at a time. A lock whose holder is gone is stale, and taken over. */
import { linkSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isAlive, type ProcessMark, processMark, readMark } from './process-mark.ts'

/** A living process holds the lock. */
export class FolderLockedError extends Error {
  readonly pid: number

  constructor(dir: string, pid: number) {
    super(`${dir} is in use by process ${pid}`)
    this.name = 'FolderLockedError'
    this.pid = pid
  }
}

let taken = 0

/**
 * Takes the lock of a folder for this process.
 * @returns gives it back
 * @throws FolderLockedError when a living process (this one included) holds it
 */
export function lockFolder(dir: string, lockFile: string): () => void {
  const path = join(dir, lockFile)
  const own = `${path}.${process.pid}.${taken++}`
  writeFileSync(own, JSON.stringify(processMark(process.pid)))
  try {
    for (;;) {
      try {
        // A link is made whole or not at all, and never over another.
        linkSync(own, path)
        return () => {
          if (readMark(path)?.pid === process.pid) rmSync(path, { force: true })
        }
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
      }
      const holder = readMark(path)
      if (holder && isAlive(holder)) throw new FolderLockedError(dir, holder.pid)
      removeStale(path, holder)
    }
  } finally {
    rmSync(own, { force: true })
  }
}

/** Moves a stale lock aside; should it be another's new one by then, that is put back. */
function removeStale(path: string, stale: ProcessMark | undefined): void {
  const aside = `${path}.stale.${process.pid}`
  try {
    renameSync(path, aside)
  } catch {
    return
  }
  const moved = readMark(aside)
  if (moved && moved.pid !== stale?.pid && isAlive(moved)) {
    try {
      linkSync(aside, path)
    } catch {
      // Somebody has taken it meanwhile.
    }
  }
  rmSync(aside, { force: true })
}
