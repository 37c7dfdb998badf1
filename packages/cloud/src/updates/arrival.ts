/** Did what was sent arrive in its slot? A device can take a file and then lose it, or drop it at its restart. */
import type { SystemDescribe } from '@aloe/firmware'
import type { Awaited, JobKind } from './job.ts'

/** @param kind where something newer than what was sent is there, healing and updates are content */
export function hasArrived(awaited: Awaited, describe: SystemDescribe, kind: JobKind): boolean {
  const { modules, hash, asset } = awaited
  if (asset !== undefined) return describe.assets?.some((other) => other.hash === asset) === true
  const installed = describe.modules.filter(({ store }) => store === 'main')
  return modules.every((module) => {
    if (module.function === 'user_part') {
      const users = installed.filter((other) => other.function === 'user_part')
      // Applications seldom have a version of their own; devices of before 0.7 do not tell their hash.
      const told = users.some((other) => other.hash !== undefined)
      return hash !== undefined && told ? users.some((other) => other.hash === hash) : users.length > 0
    }
    const newerWillDo = kind === 'heal' || kind === 'update'
    return installed.some(
      (other) =>
        other.function === module.function &&
        other.index === module.index &&
        (newerWillDo ? other.version >= module.version : other.version === module.version),
    )
  })
}
