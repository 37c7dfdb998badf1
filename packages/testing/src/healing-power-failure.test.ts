/**
 * The whole of it: a real cloud heals a device in memory from Device OS 1.0.0 to 2.0.0 over TCP, while the device's flash
 * loses power at random operations. However it falls, the device comes back and is healed.
 */
import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Cloud, startCloud } from '@aloe/cloud'
import { buildReleases, Flash, MemoryDevice, type ReleaseFolder, type ServerAddress } from '@aloe/device-os'
import { buildModule, type Platform, platformByName } from '@aloe/firmware'
import { FaultyStorage } from './faulty-storage.ts'

const linux = platformByName('linux')
assert.ok(linux)
const platform: Platform = linux

/** Healings, each with power cuts on the way. */
const rounds = Number(process.env.ALOE_POWER_ROUNDS ?? 2)
/** Storage operations between two cuts are at most so many; a healing takes some hundreds. */
const longestPeace = 300
const patience = 30_000

const folder = mkdtempSync(join(tmpdir(), 'aloe-healing-'))
let releases: readonly ReleaseFolder[]
let cloud: Cloud
let server: { readonly serverKey: Uint8Array; readonly serverAddress: ServerAddress }

before(async () => {
  releases = await buildReleases(join(folder, 'releases'))
  cloud = await startCloud({
    dataDir: join(folder, 'cloud'),
    httpPort: 0,
    tcpPort: 0,
    udpPort: 0,
    openEnrolment: true,
    releases: releases.map(({ dir }) => dir),
    logLevel: 'silent',
  })
  const about = (await (await fetch(`${cloud.httpUrl}/.well-known/aloe`)).json()) as {
    keys: { tcp: { publicKey: string } }
  }
  server = {
    serverKey: createPublicKey(about.keys.tcp.publicKey).export({ type: 'spki', format: 'der' }),
    serverAddress: { type: 'ipv4', address: '127.0.0.1', port: cloud.tcpPort },
  }
})

after(async () => {
  await cloud?.close()
  rmSync(folder, { recursive: true, force: true })
})

const application = buildModule({
  platformId: platform.id,
  function: 'user_part',
  index: 1,
  version: 1,
  dependencies: [{ function: 'system_part', index: 2, version: 2000 }],
  body: Buffer.from(`exports.setup = () => {}\nexports.loop = () => {}\n`),
})

const isDead = (storage: FaultyStorage): boolean => {
  try {
    storage.size('config.json')
    return false
  } catch {
    return true
  }
}

/** Runs a device until it is healed or its power is gone. @returns whether it is healed */
async function live(device: MemoryDevice, storage: FaultyStorage): Promise<boolean> {
  device.start()
  const end = performance.now() + patience
  try {
    for (;;) {
      if (isDead(storage)) return false
      if (device.status.phase === 'system' && device.status.decision?.mode === 'normal') return true
      assert.notEqual(device.status.phase, 'dfu', device.status.reason)
      assert.ok(performance.now() < end, `not healed in time: ${JSON.stringify(device.status)}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  } finally {
    await device.stop(false).catch(() => {})
  }
}

describe('a device that loses power while a cloud heals it', () => {
  it('is healed all the same', async (test) => {
    let cuts = 0
    for (let round = 0; round < rounds; round++) {
      const storage = new FaultyStorage()
      // Its application needs 2.0.0, as if it had just been flashed.
      const { id } = new MemoryDevice({ release: releases[0] ?? '', application, storage, ...server })
      for (let boots = 0; ; boots++) {
        storage.reboot(boots === 0 ? 1 : round * 1000 + boots)
        // More and more time between cuts, so that it comes to an end.
        const peace = longestPeace * Math.min(1, (boots + 1) / 6)
        if (boots < 12) storage.cutAt(Math.floor(Math.random() * peace))
        if (await live(new MemoryDevice({ storage }), storage)) break
        cuts++
      }
      const flash = new Flash(storage, platform)
      assert.deepEqual(
        flash.installed().map((module) => module.version),
        [200, 2000, 2000, 1],
      )
      assert.equal(flash.config.deviceId, id)
    }
    assert.ok(cuts > rounds)
    test.diagnostic(`${rounds} healings with ${cuts} power cuts`)
  })
})
