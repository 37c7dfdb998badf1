import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { openServerKeys, ServerKeyError } from './keys.ts'

describe("the server's keys", () => {
  let base: string
  before(async () => {
    base = await mkdtemp(join(tmpdir(), 'aloe-keys-'))
  })
  after(() => rm(base, { recursive: true }))

  it('are made once and stay', async () => {
    const folder = join(base, 'data', 'keys')
    const first = await openServerKeys(folder)
    const second = await openServerKeys(folder)
    assert.equal(first.tcp.publicPem, second.tcp.publicPem)
    assert.equal(first.udp.publicPem, second.udp.publicPem)
    assert.equal(first.tcp.publicDer.length, 294)
    assert.equal(first.udp.publicDer.length, 91)
  })

  it('lie there as PEM and DER, for their owner alone', async () => {
    const folder = join(base, 'files')
    const { tcp, udp } = await openServerKeys(folder)
    const files = (await readdir(folder)).sort()
    assert.deepEqual(
      files,
      ['tcp', 'udp'].flatMap((k) => [`${k}.der`, `${k}.pem`, `${k}.pub.der`, `${k}.pub.pem`]),
    )
    for (const file of files) assert.equal((await stat(join(folder, file))).mode & 0o777, 0o600)
    const read = async (name: string) => await readFile(join(folder, name))
    const derived = createPublicKey(createPrivateKey({ key: await read('tcp.der'), format: 'der', type: 'pkcs1' }))
    assert.equal(derived.export({ type: 'spki', format: 'pem' }), tcp.publicPem)
    assert.deepEqual(new Uint8Array(await read('udp.pub.der')), udp.publicDer)
  })

  it('are not replaced when one is lost or damaged: devices know them', async () => {
    const folder = join(base, 'lost')
    await openServerKeys(folder)
    await rm(join(folder, 'tcp.pem'))
    await assert.rejects(openServerKeys(folder), ServerKeyError)
    await writeFile(join(folder, 'tcp.pem'), 'nonsense')
    await assert.rejects(openServerKeys(folder), ServerKeyError)
    await writeFile(join(folder, 'tcp.pem'), await readFile(join(folder, 'udp.pem')))
    await assert.rejects(openServerKeys(folder), /RSA-2048/)
  })
})
