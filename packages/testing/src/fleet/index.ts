/** Simulated worlds: a cloud as it is, and devices of all platforms (docs/simulator.md). */

export { applicationFor, platformNamed, type Release, releasesOf, scaledReleases } from './releases.ts'
export { type Conditions, type DeviceScenario, goodNetwork, type Troubles, type Wish } from './scenario.ts'
export { type Invariant, invariants, Violation } from './violation.ts'
export { runWorld, type WorldChanges, type WorldOptions, type WorldResult } from './world.ts'
