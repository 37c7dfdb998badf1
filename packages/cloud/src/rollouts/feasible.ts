/** Whether a device can come to run an application at all: asked before it is sent, since it would only wait for more. */
import {
  type CatalogueModule,
  type OfferedApplication,
  planUpdate,
  platformById,
  type SystemDescribe,
} from '@aloe/firmware'
import type { DeviceRecord } from '../devices/device.ts'
import type { Catalogue } from '../updates/catalogue.ts'

interface Known {
  readonly application: OfferedApplication
  readonly modules: readonly CatalogueModule[]
  readonly reason: string | undefined
}

/** By the describe, which devices in the same state share; for the application that was asked about last. */
const known = new WeakMap<SystemDescribe, Known>()

/** @returns why not; undefined when it can, as far as it is known */
export function obstacleFor(
  { platformId, describe }: DeviceRecord,
  application: OfferedApplication,
  catalogue: Pick<Catalogue, 'modules'>,
): string | undefined {
  const platform = platformById(platformId ?? -1)
  if (!platform || !describe) return undefined
  const modules = catalogue.modules(platform.id)
  let found = known.get(describe)
  if (found?.application !== application || found.modules !== modules) {
    const plan = planUpdate(platform, describe, modules, { application })
    found = { application, modules, reason: plan.ok ? undefined : plan.reason }
    known.set(describe, found)
  }
  return found.reason
}
