/** What the bootloader module of a release is bundled from. */
export { boot } from './boot.ts'
