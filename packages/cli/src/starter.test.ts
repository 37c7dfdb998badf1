import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { runAloe, startAloe, starter } from './aloe-process.ts'

/** Another Node.js of this machine, older than the pinned one. */
function olderNode(): string | undefined {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, 'node')
    if (!existsSync(path) || realpathSync(path) === realpathSync(process.execPath)) continue
    const version = spawnSync(path, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout
    if (Number.parseInt(version, 10) < 24) return path
  }
  return undefined
}

const older = olderNode()
const withOlder = { skip: older === undefined && 'there is no older Node.js on this machine' }

async function isUp(url: string): Promise<boolean> {
  return await fetch(`${url}/health`).then(
    ({ ok }) => ok,
    () => false,
  )
}

describe('bin/aloe.js', () => {
  let dir = ''
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'aloe-starter-'))
  })
  after(() => rmSync(dir, { recursive: true, force: true }))

  const up = (name: string) => [
    'up',
    '--json',
    '--http-port',
    '0',
    '--tcp-port',
    '0',
    '--data-dir',
    join(dir, name),
    '--releases',
    dir,
  ]

  it('runs the command and ends with its exit code', async () => {
    const version = await runAloe(['--version'])
    assert.match(version.out, /^\d+\.\d+\.\d+\n$/)
    assert.equal(version.code, 0)
    assert.equal((await runAloe(['no-such-command'])).code, 2)
  })

  it('runs it with the pinned Node.js when an older one starts it', withOlder, async () => {
    const result = await runAloe(['--version'], { node: older ?? '' })
    assert.deepEqual([result.code, result.err], [0, ''])
    assert.equal((await runAloe(['list', '--cloud', 'ftp://x'], { node: older ?? '' })).code, 2)
  })

  it('passes on a signal to stop, and the exit code after it', withOlder, async () => {
    const cloud = startAloe(up('signal'), { node: older ?? '' })
    const { http } = JSON.parse(await cloud.line())
    assert.ok(await isUp(http))
    cloud.child.kill('SIGTERM')
    const { code, signal } = await cloud.ended
    assert.deepEqual([code, signal], [0, null])
    assert.equal(await isUp(http), false)
  })

  it('takes the command along when it is killed', { ...withOlder }, async () => {
    const cloud = startAloe(up('killed'), { node: older ?? '' })
    const { http } = JSON.parse(await cloud.line())
    cloud.child.kill('SIGKILL')
    await cloud.ended
    for (let i = 0; i < 200 && (await isUp(http)); i += 1) await new Promise((resolve) => setTimeout(resolve, 20))
    assert.equal(await isUp(http), false)
  })

  it('says what is missing where there is no pinned Node.js', withOlder, () => {
    copyFileSync(starter, join(dir, 'aloe.mjs'))
    const { status, stderr } = spawnSync(older ?? '', [join(dir, 'aloe.mjs'), '--version'], { encoding: 'utf8' })
    assert.equal(status, 1)
    assert.match(stderr, /aloe needs Node\.js 24 or newer; this is v\d+.*\n.*npm ci/)
  })
})
