/** Every application of the project compiles for the releases that it says it runs on, by the real compile service. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Cloud, startCloud } from '@aloe/cloud'
import { buildReleases } from '@aloe/device-os'
import { deviceOsReleases } from '@aloe/firmware'
import Particle from 'particle-api-js'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'aloe-examples-'))
const account = { username: 'examples', password: 'examples of applications' }
const versions = deviceOsReleases.map(({ version }) => version)

let cloud: Cloud
let particle: Particle

before(async () => {
  const releases = await buildReleases(join(folder, 'releases'))
  cloud = await startCloud({
    dataDir: join(folder, 'data'),
    host: '127.0.0.1',
    httpPort: 0,
    tcpPort: 0,
    udpPort: 0,
    admin: account,
    releases: releases.map(({ dir }) => dir),
    logLevel: 'silent',
  })
  const { body } = await new Particle({ baseUrl: cloud.httpUrl }).login(account)
  particle = new Particle({ baseUrl: cloud.httpUrl, auth: body.access_token })
})

after(async () => {
  await cloud?.close()
  rmSync(folder, { recursive: true, force: true })
})

async function compile(project: string, targetVersion: string): Promise<void> {
  const base = join(root, project)
  const names = readdirSync(base, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.(ts|properties)$/.test(name),
  )
  const files = Object.fromEntries(names.map((name) => [relative('.', name), readFileSync(join(base, name))]))
  const { body } = await particle
    .compileCode({ files, platformId: 43, targetVersion })
    .catch((error) => assert.fail(`${project} for ${targetVersion}: ${JSON.stringify(error.body)}`))
  assert.ok(body.ok, `${project} for ${targetVersion}: ${JSON.stringify(body)}`)
}

describe('the applications of this project', () => {
  for (const version of versions) {
    it(`blink and Tinker compile for Device OS ${version}`, async () => {
      await compile('examples/blink', version)
      await compile('packages/device-os/applications', version)
    })
  }

  it('thermostat compiles for Device OS 2.0.0, and names what older releases lack', async () => {
    await compile('examples/thermostat', '2.0.0')
    await assert.rejects(compile('examples/thermostat', '1.1.0'), /LEDStatus is not in Device OS 1\.1\.0/)
  })
})
