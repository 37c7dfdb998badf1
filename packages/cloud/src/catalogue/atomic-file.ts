/** Files that are there whole or not at all, whenever the process or the power ends. */
import { randomBytes } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** What an interrupted write leaves behind begins so. */
export const temporaryPrefix = '.writing-'

/**
 * Writes `<folder>/<name>`: the file that was there stays until the new one is on the disk. That the folder names the
 * new one lasts from `syncFolder` on.
 */
export async function writeFileAtomic(folder: string, name: string, content: Uint8Array | string): Promise<void> {
  const temporary = join(folder, `${temporaryPrefix}${randomBytes(6).toString('hex')}`)
  try {
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, join(folder, name))
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

/** Makes renames in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
