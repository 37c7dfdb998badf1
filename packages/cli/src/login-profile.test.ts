import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { profilePath, readProfile, withLogin, withoutLogin, writeProfile } from './login-profile.ts'

describe('the login profile', () => {
  let home = ''
  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'aloe-home-'))
  })
  after(() => rm(home, { recursive: true, force: true }))

  const login = { username: 'ada', token: 'secret', expiresAt: null }

  it('keeps a login for every cloud, readable by its owner only', async () => {
    const path = profilePath(home)
    assert.deepEqual(await readProfile(path), { logins: {} })
    await writeProfile(withLogin(await readProfile(path), 'http://one', login), path)
    await writeProfile(withLogin(await readProfile(path), 'http://two', { ...login, token: 'other' }), path)
    const profile = await readProfile(path)
    assert.equal(profile.cloud, 'http://two')
    assert.equal(profile.logins['http://one']?.token, 'secret')
    if (process.platform !== 'win32') {
      assert.equal((await stat(path)).mode & 0o777, 0o600)
      assert.equal((await stat(dirname(path))).mode & 0o777, 0o700)
    }
    assert.deepEqual(await readdir(dirname(path)), ['profile.json'])
    assert.equal(withoutLogin(profile, 'http://one').logins['http://one'], undefined)
  })

  it('that is damaged says what to do', async () => {
    const path = profilePath(join(home, 'damaged'))
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, '{')
    await assert.rejects(readProfile(path), /is damaged/)
  })
})
