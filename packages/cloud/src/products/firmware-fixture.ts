/** Applications for tests: real module files of platform `linux` with random bodies. */
import { randomBytes } from 'node:crypto'
import { buildModule } from '@aloe/firmware'

export const linux = 43

/** @param product what the module says of itself: those of Device OS 4 and newer say the platform and a version */
export function productApplication(
  product?: { readonly id: number; readonly version: number },
  { platformId = linux, index = 1 }: { platformId?: number; index?: number } = {},
): Uint8Array {
  return buildModule({
    platformId,
    function: 'user_part',
    index,
    version: 1,
    body: randomBytes(200),
    ...(product && { product }),
  })
}
