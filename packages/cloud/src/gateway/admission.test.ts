import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { before, describe, it } from 'node:test'
import { devicePublicKeyDer, generateDeviceKey } from '@aloe/protocol'
import { type AdmissionPolicy, admit } from './admission.ts'

const id = '422b00000000000000000001'
const base64 = (der: Uint8Array) => Buffer.from(der).toString('base64')

const spki = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' })

describe('admission', () => {
  let key: KeyObject
  let der: Uint8Array
  let otherDer: Uint8Array
  before(async () => {
    key = await generateDeviceKey()
    der = devicePublicKeyDer(key)
    otherDer = devicePublicKeyDer(await generateDeviceKey())
  })

  /** @param registered key in the registry, null for a device without one, undefined for an unknown device */
  function policy(registered?: string | null, openEnrolment = false): AdmissionPolicy {
    let known = registered === undefined ? undefined : { publicKey: registered }
    return {
      openEnrolment,
      lookup: () => known,
      enrol: async (_, offered) => {
        known ??= { publicKey: base64(offered) }
      },
    }
  }

  it('takes the registered key, also from the oldest firmware, which shows none', async () => {
    for (const offered of [der, undefined]) {
      const admission = await admit(policy(base64(der)), id, offered, 'rsa')
      assert.ok(admission.ok && admission.publicKey)
      assert.deepEqual(devicePublicKeyDer(admission.publicKey), der)
    }
  })

  it('says what to do about a device that is unknown or has no key', async () => {
    for (const registered of [undefined, null]) {
      const admission = await admit(policy(registered), id, der, 'rsa')
      assert.ok(!admission.ok)
      assert.equal(admission.step, 'identify')
      assert.match(admission.reason, /provision/)
    }
  })

  it('refuses another key, with open enrolment too', async () => {
    for (const open of [false, true]) {
      const admission = await admit(policy(base64(der), open), id, otherDer, 'rsa')
      assert.ok(!admission.ok)
      assert.equal(admission.step, 'key')
    }
  })

  it('takes EC keys on UDP, and no others', async () => {
    const ec = await admit(policy(base64(spki)), id, spki, 'ecc')
    assert.ok(ec.ok)
    const rsa = await admit(policy(base64(der)), id, spki, 'ecc')
    assert.ok(!rsa.ok)
    assert.match(rsa.reason, /EC on P-256/)
    assert.equal((await admit(policy(undefined, true), id, der, 'ecc')).ok, false)
    assert.equal((await admit(policy(undefined, true), id, spki, 'ecc')).ok, true)
  })

  it('refuses a registered key that is none for TCP', async () => {
    const admission = await admit(policy(spki.toString('base64')), id, spki, 'rsa')
    assert.ok(!admission.ok)
    assert.match(admission.reason, /RSA of 1024 bits/)
  })

  it('enrols a key only when it was really stored', async () => {
    const fresh = await admit(policy(undefined, true), id, der, 'rsa')
    assert.ok(fresh.ok && fresh.enrolled)
    const slower: AdmissionPolicy = { ...policy(undefined, true), enrol: async () => undefined }
    const admission = await admit(slower, id, der, 'rsa')
    assert.ok(!admission.ok)
    const failing: AdmissionPolicy = { ...policy(undefined, true), enrol: () => Promise.reject(new Error('disk full')) }
    const failed = await admit(failing, id, der, 'rsa')
    assert.ok(!failed.ok)
    assert.match(failed.reason, /disk full/)
  })

  it('enrols nothing that is no RSA key', async () => {
    for (const offered of [undefined, new Uint8Array(162), Buffer.from('key')]) {
      const admission = await admit(policy(undefined, true), id, offered, 'rsa')
      assert.equal(admission.ok, false)
    }
  })
})
