import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { short, versioned } from '../fixtures/notation.ts'
import { patternBody } from '../fixtures/vectors.ts'
import { buildModule } from '../module/build.ts'
import { platformByName } from '../platforms/platforms.ts'
import { updateResult } from '../system-error.ts'
import { bootCheck } from './boot-check.ts'
import { type InstalledModules, installedModule } from './installed.ts'
import { validateModule } from './validate.ts'

// The worked acceptance cases of modules-and-platforms.md 4.2. Applications stand for those that were
// running before.
const cases: readonly {
  readonly name: string
  readonly platform: string
  readonly installed: string
  readonly sent: string
  readonly result: number
  /** `normal`, or what is missing in safe mode; nothing when the device stays as it is. */
  readonly after?: string
}[] = [
  {
    name: 'Boron: OS before bootloader',
    platform: 'boron',
    installed: 'b0@2601 s1@5802(b0@2300,a0@202) u2@6(s1@5802) a0@202',
    sent: 's1@6200(b0@3100,a0@202)',
    result: updateResult.dependencyCheckFailed,
  },
  {
    name: 'Argon: OS before bootloader, its second dependency',
    platform: 'argon',
    installed: 'b0@502 s1@1512(b0@501,a0@202) u1@6(s1@1512) c0@5 a0@202',
    sent: 's1@6305(a0@202,b0@3100)',
    result: updateResult.ok,
    after: 'b0@3100',
  },
  {
    name: 'an application newer than the OS',
    platform: 'boron',
    installed: 'b0@2601 s1@5802(b0@2300,a0@202) u2@6(s1@5802) a0@202',
    sent: 'u2@6(s1@6305)',
    result: updateResult.ok,
    after: 's1@6305',
  },
  {
    name: 'P2: bootloader before part 1',
    platform: 'p2',
    installed: 'b0@2101(b2@5) b2@5 s1@5301(b0@2100) u1@6(s1@5301)',
    sent: 'b0@3101(b2@10)',
    result: updateResult.dependencyCheckFailed,
  },
  {
    name: 'P2: OS before bootloader',
    platform: 'p2',
    installed: 'b0@2101(b2@5) b2@5 s1@5301(b0@2100) u1@6(s1@5301)',
    sent: 's1@6201(b0@3101)',
    result: updateResult.dependencyCheckFailed,
  },
  {
    name: 'Electron: part 2 first',
    platform: 'electron',
    installed: 'b0@11 s1@110(s3@110) s2@110(s1@110) s3@110 u1@4(s2@110)',
    sent: 's2@3302(s1@3302,b0@1003)',
    result: updateResult.dependencyCheckFailed,
  },
  {
    name: 'Electron: part 3 first',
    platform: 'electron',
    installed: 'b0@11 s1@110(s3@110) s2@110(s1@110) s3@110 u1@4(s2@110)',
    sent: 's3@3302(s2@110)',
    result: updateResult.ok,
    after: 'normal',
  },
  {
    name: 'Photon: downgrade of part 1 would orphan part 2',
    platform: 'photon',
    installed: 'b0@502 s1@1512(s2@207) s2@1512(s1@1512,b0@400) u1@6(s2@1512)',
    sent: 's1@207',
    result: updateResult.dependencyCheckFailed,
  },
  {
    name: 'Photon: downgrade of part 2',
    platform: 'photon',
    installed: 'b0@502 s1@1512(s2@207) s2@1512(s1@1512,b0@400) u1@6(s2@207)',
    sent: 's2@207(s1@207,b0@101)',
    result: updateResult.ok,
    after: 'normal',
  },
  {
    name: 'Tracker: a system part that needs NCP 7 where 5 is',
    platform: 'tracker',
    installed: 'b0@1100 s1@2008(b0@1003) u1@6(s1@2008) c0@5 a0@202',
    sent: 's1@3102(b0@1100,c0@7)',
    result: updateResult.dependencyCheckFailed,
  },
  {
    name: 'Xenon: a radio stack on an OS that is too old for it',
    platform: 'xenon',
    installed: 'b0@501 s1@1213(b0@311) u1@6(s1@1213) a0@169',
    sent: 'a0@202(b0@501,s1@1321)',
    result: updateResult.dependencyCheckFailed,
  },
  {
    name: 'Boron: downgrade of the OS',
    platform: 'boron',
    installed: 'b0@3200 s1@6305(b0@3100,a0@202) u2@6(s1@5802) a0@202',
    sent: 's1@5802(b0@2300,a0@202)',
    result: updateResult.ok,
    after: 'normal',
  },
]

describe('the worked acceptance cases', () => {
  for (const { name, platform: platformName, installed: text, sent, result, after } of cases) {
    it(name, () => {
      const platform = platformByName(platformName)
      assert.ok(platform)
      const installed: InstalledModules = text.split(' ').map(versioned)
      const before = bootCheck(platform, installed)
      assert.equal(before.mode, 'normal', JSON.stringify(before.missing))

      const bytes = buildModule({ ...versioned(sent), platformId: platform.id, body: patternBody(50) })
      const validation = validateModule(bytes, platform, installed)
      assert.equal(validation.result, result, validation.message)
      assert.equal(validation.checked, 94)
      assert.equal(validation.passed === 94, result === updateResult.ok)
      if (after === undefined || !validation.module) return

      const module = installedModule(validation.module)
      const next = installed.map((m) => (m.function === module.function && m.index === module.index ? module : m))
      const boot = bootCheck(platform, next)
      assert.equal(boot.mode === 'normal' ? 'normal' : boot.missing.map(short).join(' '), after)
    })
  }
})
