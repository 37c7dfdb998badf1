/**
 * The releases of Aloe's own Device OS (platform `linux`). Module numbers are counters assigned at
 * release and never computed from the version (modules-and-platforms.md 3): this table is the truth.
 *
 * In release R both system parts have `systemVersion`; system part 2 depends on system part 1 of the
 * same number, system part 1 on the bootloader of `bootloaderVersion`; an application depends on
 * system part 2 of the release that it was compiled for.
 */

import { compareSemver } from './semver.ts'

export interface DeviceOsRelease {
  readonly version: string
  readonly systemVersion: number
  readonly bootloaderVersion: number
  readonly state: ReleaseState
  readonly prerelease: boolean
}

export type ReleaseState = 'ga' | 'preview' | 'archived'

/** Oldest first. */
export const deviceOsReleases: readonly DeviceOsRelease[] = [
  { version: '1.0.0', systemVersion: 1000, bootloaderVersion: 100, state: 'ga', prerelease: false },
  { version: '1.1.0-rc.1', systemVersion: 1100, bootloaderVersion: 101, state: 'preview', prerelease: true },
  { version: '1.1.0', systemVersion: 1101, bootloaderVersion: 101, state: 'ga', prerelease: false },
  { version: '2.0.0', systemVersion: 2000, bootloaderVersion: 200, state: 'ga', prerelease: false },
]

/** The release of a version (`1.1.0`, with or without a leading `v`). */
export function deviceOsRelease(version: string): DeviceOsRelease | undefined {
  return deviceOsReleases.find((release) => compareSemver(release.version, version) === 0)
}

/**
 * The release of a system part's number. Several releases may carry one number: the final one is
 * preferred, then the highest (modules-and-platforms.md 3).
 */
export function deviceOsReleaseOfModule(
  systemVersion: number,
  releases: readonly DeviceOsRelease[] = deviceOsReleases,
): DeviceOsRelease | undefined {
  let best: DeviceOsRelease | undefined
  for (const release of releases) {
    if (release.systemVersion !== systemVersion) continue
    if (!best || Number(best.prerelease) - Number(release.prerelease) > 0) best = release
    else if (best.prerelease === release.prerelease && compareSemver(release.version, best.version) > 0) best = release
  }
  return best
}
