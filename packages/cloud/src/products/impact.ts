/** What a release would do: how many devices would get another firmware, by the version that they run. */
import { firmwareVersionOf } from '../devices/device.ts'
import type { DeviceRegistry } from '../devices/registry.ts'
import type { ProductDevices } from './product-devices.ts'
import { type ReleasedVersions, targetFor } from './targeting.ts'

export interface Impact {
  readonly total: number
  readonly byVersion: readonly { readonly version: number; readonly total: number }[]
}

/** What is released after a release to all (true: also; false: no more to all) and to these groups. */
export function releasedAfter(
  before: ReleasedVersions,
  { version, productDefault, groups }: { version: number; productDefault?: boolean; groups: readonly string[] },
): ReleasedVersions {
  const after = new Map(before.groups)
  for (const group of groups) after.set(group, version)
  const withdrawn = productDefault === false && before.default === version
  return { default: productDefault === true ? version : withdrawn ? null : before.default, groups: after }
}

/** Counts the devices whose target is another than before, and not what they run. */
export function impactOf(
  productId: number,
  before: ReleasedVersions,
  after: ReleasedVersions,
  { registry, devices }: { registry: Pick<DeviceRegistry, 'get'>; devices: ProductDevices },
): Impact {
  const counts = new Map<number, number>()
  let total = 0
  for (const deviceId of devices.members(productId)) {
    const member = devices.of(deviceId)
    const device = registry.get(deviceId)
    if (!member || !device) continue
    const target = targetFor(member, after)?.version
    const runs = firmwareVersionOf(device)
    if (target === undefined || target === runs || target === targetFor(member, before)?.version) continue
    total++
    counts.set(runs ?? 0, (counts.get(runs ?? 0) ?? 0) + 1)
  }
  const byVersion = [...counts].map(([version, count]) => ({ version, total: count }))
  return { total, byVersion: byVersion.sort((a, b) => a.version - b.version) }
}
