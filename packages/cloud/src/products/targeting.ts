/** Which firmware a device of a product should run (cloud-api.md 1.7, "Firmware targeting order"). Pure. */

export interface Target {
  readonly version: number
  /** Locked to it; released to a group of its; or to all devices of the product. */
  readonly why: 'locked' | 'group' | 'default'
}

/** What counts of a member; a `ProductDevice` is one. */
export interface TargetedDevice {
  readonly desiredVersion: number | null
  readonly development: boolean
  readonly groups: readonly string[]
}

/** What is released: by group, and to all. */
export interface ReleasedVersions {
  readonly default: number | null
  readonly groups: ReadonlyMap<string, number>
}

/**
 * A development device gets nothing by itself. Then a lock wins, then the highest version among the releases to the
 * device's groups, then the product's default; else there is nothing.
 */
export function targetFor(device: TargetedDevice, released: ReleasedVersions): Target | undefined {
  if (device.development) return undefined
  if (device.desiredVersion !== null) return { version: device.desiredVersion, why: 'locked' }
  return releasedTo(device, released)
}

/** What releases would give to the device if it were neither locked nor under development. */
export function releasedTo({ groups }: Pick<TargetedDevice, 'groups'>, released: ReleasedVersions): Target | undefined {
  let version: number | undefined
  for (const group of groups) {
    const candidate = released.groups.get(group)
    if (candidate !== undefined && (version === undefined || candidate > version)) version = candidate
  }
  if (version !== undefined) return { version, why: 'group' }
  return released.default === null ? undefined : { version: released.default, why: 'default' }
}
