/**
 * The processes of a device. Its folder is run by one program at a time, which holds `device.lock`; the processes that
 * it starts leave their ids in `<role>.pid` before they touch the flash, so that a later run can make sure that nobody
 * else writes it.
 */
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { FolderLockedError, lockFolder } from '../storage/folder-lock.ts'
import { isAlive, processMark, readMark } from '../storage/process-mark.ts'

const lockFile = 'device.lock'
const pidSuffix = '.pid'

/** The folder's device runs already. */
export class DeviceBusyError extends Error {
  readonly pid: number

  constructor(dir: string, pid: number) {
    super(`the device in ${dir} is already being run by process ${pid}`)
    this.name = 'DeviceBusyError'
    this.pid = pid
  }
}

/**
 * Takes a device's folder for this process.
 * @returns gives it back
 * @throws DeviceBusyError when a living process has it
 */
export function lockDevice(dir: string): () => void {
  try {
    return lockFolder(dir, lockFile)
  } catch (error) {
    if (error instanceof FolderLockedError) throw new DeviceBusyError(dir, error.pid)
    throw error
  }
}

/** Leaves this process's id, as a process of the device in this role. To be done before the flash is touched. */
export function markProcess(dir: string, role: string): void {
  writeFileSync(join(dir, `${role}${pidSuffix}`), JSON.stringify(processMark(process.pid)))
}

/**
 * Ends processes of the device that outlived the one that started them, and waits until they are gone. Only the holder
 * of the lock may do this.
 */
export async function endLeftovers(dir: string): Promise<void> {
  for (const name of readdirSync(dir)) {
    if (!name.endsWith(pidSuffix)) continue
    const path = join(dir, name)
    const left = readMark(path)
    if (left && left.pid !== process.pid) {
      while (isAlive(left)) {
        try {
          process.kill(left.pid, 'SIGKILL')
        } catch {
          break
        }
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    }
    rmSync(path, { force: true })
  }
}
