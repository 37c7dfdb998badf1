import type { Boot } from '../boot/rom.ts'
import type { Flash } from '../flash/flash.ts'
import { exportedFunction, ModuleBodyError, moduleExports } from './evaluate.ts'

/**
 * The code of the installed bootloader module, checked as a ROM checks it: it is a bootloader of this platform and
 * intact.
 * @throws ModuleBodyError
 */
export function installedBootloader(flash: Flash, shared: boolean): Boot {
  const module = flash.parsed('bootloader', 0)
  if (!module) throw new ModuleBodyError('there is no bootloader in this flash')
  if (!module.crcValid) throw new ModuleBodyError('the bootloader in this flash is damaged')
  if (module.platformId !== flash.platform.id || module.function !== 'bootloader') {
    throw new ModuleBodyError('what is in the place of the bootloader is another module')
  }
  return exportedFunction(module, moduleExports(module, shared), 'boot') as Boot
}
