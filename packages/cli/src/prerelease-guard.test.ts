import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { buildModule } from '@aloe/firmware'
import type { CloudClient } from './cloud-client.ts'
import { Output } from './output.ts'
import { guardPrerelease, type Sent, versionAsked } from './prerelease-guard.ts'

const releases: Readonly<Record<string, object>> = {
  '6.3.0-rc.1': { version: '6.3.0-rc.1', state: 'pre_release', release_state: 'archived' },
  '6301': { version: '6.3.0-rc.1', state: 'pre_release', release_state: 'archived' },
  '6.3.2': { version: '6.3.2', state: 'release', release_state: 'preview' },
  '6.2.0': { version: '6.2.0', state: 'release', release_state: 'ga' },
}

/** The two questions that the guard asks of a cloud. */
function clientOf(device: object): CloudClient {
  const particle = {
    getDevice: async () => ({ body: { id: 'd', platform_id: 13, system_firmware_version: '6.2.0', ...device } }),
    async getDeviceOsVersion({ version }: { version: string }) {
      const body = releases[version]
      if (!body) throw new Error('404')
      return { body }
    },
  }
  return { url: 'http://cloud', token: 't', particle: particle as unknown as CloudClient['particle'] }
}

async function guard(device: object, sent: Sent, allowed = false): Promise<{ told: string; refused: string }> {
  let told = ''
  const err = { write: (text: string) => (told += text) }
  const output = new Output({ json: false, out: err, err, color: false })
  try {
    await guardPrerelease(clientOf(device), 'lamp', sent, allowed, output)
    return { told, refused: '' }
  } catch (error) {
    return { told, refused: (error as Error).message }
  }
}

const system = (version: number) =>
  buildModule({ platformId: 13, function: 'system_part', index: 1, version, body: new Uint8Array(4) })
const application = (version: number) =>
  buildModule({
    platformId: 13,
    function: 'user_part',
    index: 2,
    version: 6,
    dependencies: [{ function: 'system_part', index: 1, version }],
    body: new Uint8Array(4),
  })

describe('a pre-release for a device', { skip: process.stdin.isTTY && 'it would ask on this terminal' }, () => {
  const rc = { target: '6.3.0-rc.1' }

  it('is warned of, and not sent unless allowed', async () => {
    const product = await guard({ product_id: 10_001 }, rc)
    assert.match(product.told, /Device OS 6\.3\.0-rc\.1 is a pre-release, and lamp is a device in production/)
    assert.match(product.refused, /is a device in production/)
    assert.match((await guard({ product_id: 13 }, rc)).refused, /not marked as a development device/)
    const allowed = await guard({ product_id: 10_001 }, rc, true)
    assert.match(allowed.told, /pre-release/)
    assert.equal(allowed.refused, '')
  })

  it('is told of, and sent to a development device', async () => {
    const { told, refused } = await guard({ product_id: 10_001, development: true }, rc)
    assert.match(told, /is a pre-release\n/)
    assert.equal(refused, '')
  })

  it('is found by the number of a system part, and by what an application needs', async () => {
    assert.match((await guard({}, { file: system(6301) })).refused, /6\.3\.0-rc\.1 is a pre-release/)
    assert.match((await guard({}, { file: application(6301) })).refused, /6\.3\.0-rc\.1 is a pre-release/)
    assert.match((await guard({}, { target: '6.3.2' })).refused, /6\.3\.2 is a preview/)
    assert.equal(versionAsked({ file: new Uint8Array(3) }), undefined)
  })

  it('is no matter when there is none, or when the device runs it', async () => {
    const none = { told: '', refused: '' }
    assert.deepEqual(await guard({}, { target: '6.2.0' }), none)
    assert.deepEqual(await guard({}, { target: '9.9.9' }), none)
    assert.deepEqual(await guard({}, {}), none)
    assert.deepEqual(await guard({ system_firmware_version: '6.3.0-rc.1' }, rc), none)
  })
})
