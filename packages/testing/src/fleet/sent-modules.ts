/** What is in an update file: its modules, as they are once they are installed. */
import {
  decompressModule,
  type InstalledModule,
  installedModule,
  ModuleFormatError,
  moduleFlags,
  parseModule,
  splitModules,
} from '@aloe/firmware'

export function modulesOfFile(file: Uint8Array): readonly InstalledModule[] {
  try {
    return splitModules(file).map((bytes) => {
      const module = parseModule(bytes)
      const compressed = (module.flags & moduleFlags.compressed) !== 0
      return installedModule(compressed ? parseModule(decompressModule(bytes)) : module)
    })
  } catch (error) {
    if (error instanceof ModuleFormatError) return []
    throw error
  }
}
