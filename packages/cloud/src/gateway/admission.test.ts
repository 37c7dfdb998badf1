import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { before, describe, it } from 'node:test'
import { devicePublicKeyDer, generateDeviceKey } from '@aloe/protocol'
import { type AdmissionPolicy, admit } from './admission.ts'

const id = '422b00000000000000000001'
const base64 = (der: Uint8Array) => Buffer.from(der).toString('base64')

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
      const admission = await admit(policy(base64(der)), id, offered)
      assert.ok(admission.ok)
      assert.deepEqual(devicePublicKeyDer(admission.publicKey), der)
    }
  })

  it('says what to do about a device that is unknown or has no key', async () => {
    for (const registered of [undefined, null]) {
      const admission = await admit(policy(registered), id, der)
      assert.ok(!admission.ok)
      assert.equal(admission.step, 'identify')
      assert.match(admission.reason, /provision/)
    }
  })

  it('refuses another key, with open enrolment too', async () => {
    for (const open of [false, true]) {
      const admission = await admit(policy(base64(der), open), id, otherDer)
      assert.ok(!admission.ok)
      assert.equal(admission.step, 'key')
    }
  })

  it('refuses a registered key that is none for TCP', async () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const spki = publicKey.export({ type: 'spki', format: 'der' })
    const admission = await admit(policy(spki.toString('base64')), id, spki)
    assert.ok(!admission.ok)
    assert.match(admission.reason, /RSA of 1024 bits/)
  })

  it('enrols a key only when it was really stored', async () => {
    const fresh = await admit(policy(undefined, true), id, der)
    assert.ok(fresh.ok && fresh.enrolled)
    const slower: AdmissionPolicy = { ...policy(undefined, true), enrol: async () => undefined }
    const admission = await admit(slower, id, der)
    assert.ok(!admission.ok)
    const failing: AdmissionPolicy = { ...policy(undefined, true), enrol: () => Promise.reject(new Error('disk full')) }
    const failed = await admit(failing, id, der)
    assert.ok(!failed.ok)
    assert.match(failed.reason, /disk full/)
  })

  it('enrols nothing that is no RSA key', async () => {
    for (const offered of [undefined, new Uint8Array(162), Buffer.from('key')]) {
      const admission = await admit(policy(undefined, true), id, offered)
      assert.equal(admission.ok, false)
    }
  })
})
