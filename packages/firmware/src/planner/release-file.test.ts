import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { short } from '../fixtures/notation.ts'
import { ReleaseFileError, readReleaseFile } from './release-file.ts'

const module = (name: string, index: number, version: number, dependencies: unknown[] = []) => ({
  function: name,
  index,
  version,
  dependencies,
})

const file = {
  releases: [
    {
      version: '6.2.0',
      prerelease: false,
      release_state: 'preview',
      platforms: {
        boron: { platform_id: 13, modules: [module('system_part', 1, 6200, [module('bootloader', 0, 3100)])] },
        core: { platform_id: 0, modules: null },
      },
    },
    { version: '6.3.0-rc.1', prerelease: true, platforms: { boron: { platform_id: 13, modules: [] } } },
  ],
  aux_modules: {
    radio_stack: [{ version: 202, dependencies: [], platforms: ['boron', 'argon', 'nosuch'] }],
    ncp_firmware: [{ version: 7, dependencies: [module('system_part', 1, 3000)], platform: 'tracker' }],
  },
}

describe('a release file', () => {
  it('gives the modules of all releases, and those that are published apart', () => {
    const catalogue = readReleaseFile(file)
    assert.deepEqual(
      catalogue.map((m) => [m.platformId, short(m), m.release, m.state, m.dependencies.map(short).join()]),
      [
        [13, 's1@6200', '6.2.0', 'preview', 'b0@3100'],
        [13, 'a0@202', 'radio_stack@202', 'ga', ''],
        [12, 'a0@202', 'radio_stack@202', 'ga', ''],
        [26, 'c0@7', 'ncp_firmware@7', 'ga', 's1@3000'],
      ],
    )
  })

  it('is refused with what is wrong, and where', () => {
    const broken: readonly [unknown, RegExp][] = [
      [null, /the file must be an object/],
      [[], /the file must be an object/],
      [{}, /releases must be a list/],
      [{ releases: [1] }, /releases\[0\] must be an object/],
      [{ releases: [{ version: 3 }] }, /releases\[0\].version must be a text/],
      [
        { releases: [{ version: '1.0.0', platforms: { nosuch: {} } }] },
        /1.0.0 for nosuch: platform_id must be a number/,
      ],
      [
        { releases: [{ version: '1.0.0', platforms: { boron: { modules: [{}] } } }] },
        /1.0.0 for boron: nothing is no module/,
      ],
      [
        { releases: [{ version: '1.0.0', platforms: { boron: { modules: [module('bootloader', 0, 70_000)] } } }] },
        /the version of bootloader 0 must be a number from 0 to 65535/,
      ],
    ]
    for (const [document, message] of broken) {
      assert.throws(
        () => readReleaseFile(document),
        (error) => error instanceof ReleaseFileError && message.test(error.message),
      )
    }
  })
})
