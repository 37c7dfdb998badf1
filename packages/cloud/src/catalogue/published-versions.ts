/**
 * Which number the system parts of Device OS releases carry. Numbers are assigned, never computed from the version
 * (modules-and-platforms.md 3): these are final releases of the newer lines (10.1). What is not in this table, the
 * catalogue itself knows once one file of the release was imported by its name.
 */

import { deviceOsReleases, platformByName } from '@aloe/firmware'

/** Release and system module version. */
const published: readonly (readonly [string, number])[] = [
  ['0.5.5', 23],
  ['1.0.0', 1000],
  ['1.5.2', 1512],
  ['2.0.0', 2008],
  ['2.3.1', 2302],
  ['3.3.1', 3302],
  ['4.2.0', 4200],
  ['5.0.0', 5002],
  ['5.1.0', 5004],
  ['5.4.1', 5410],
  ['5.5.0', 5501],
  ['5.8.0', 5800],
  ['5.8.2', 5802],
  ['5.9.0', 5901],
  ['6.0.0', 6000],
  ['6.1.1', 6101],
  ['6.2.0', 6200],
  ['6.2.1', 6201],
  ['6.3.0', 6302],
  ['6.3.2', 6303],
  ['6.3.3', 6304],
  ['6.3.4', 6305],
  ['6.3.5', 6306],
]

const linux = platformByName('linux')?.id

/** Linux devices have releases of their own, with numbers of their own. */
export function isOwnPlatform(platformId: number): boolean {
  return platformId === linux
}

/** The number of a release's system parts; undefined when it is not known. */
export function publishedSystemVersion(release: string, platformId: number): number | undefined {
  if (isOwnPlatform(platformId)) return deviceOsReleases.find(({ version }) => version === release)?.systemVersion
  return published.find(([version]) => version === release)?.[1]
}

/** The releases that carry a number. */
export function publishedReleases(systemVersion: number, platformId: number): readonly string[] {
  if (isOwnPlatform(platformId)) {
    return deviceOsReleases.filter((known) => known.systemVersion === systemVersion).map(({ version }) => version)
  }
  return published.filter(([, number]) => number === systemVersion).map(([version]) => version)
}
