import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { moduleFlags, updateResult } from '@aloe/firmware'
import { MemoryStorage } from '../storage/memory-storage.ts'
import { needsSystemPart, testApplication, testFlash, testModule, testPlatform } from '../test-modules.ts'
import { Flash } from './flash.ts'
import { FlashError } from './flash-error.ts'

const reopened = (flash: Flash) => new Flash(flash.storage, testPlatform)

describe('flash', () => {
  it('holds modules in the slots that their prefixes name', () => {
    const flash = testFlash(new MemoryStorage())
    assert.deepEqual(
      reopened(flash)
        .installed()
        .map((module) => [module.function, module.index, module.version]),
      [
        ['bootloader', 0, 100],
        ['system_part', 1, 1000],
        ['system_part', 2, 1000],
        ['user_part', 1, 1],
      ],
    )
    flash.install(testModule('system_part', 1, 1001))
    assert.equal(flash.parsed('system_part', 1)?.version, 1001)
    assert.equal(reopened(flash).parsed('system_part', 1)?.version, 1001)
  })

  it('refuses what is no module or has no slot', () => {
    const flash = testFlash(new MemoryStorage())
    const codeOf = (bytes: Uint8Array) => {
      try {
        flash.install(bytes)
        return 'installed'
      } catch (error) {
        return error instanceof FlashError ? error.code : error
      }
    }
    assert.equal(codeOf(Buffer.from('hello')), 'bad-module')
    assert.equal(codeOf(testModule('system_part', 3, 1)), 'no-slot')
  })

  it('keeps the configuration and changes parts of it', () => {
    const flash = testFlash(new MemoryStorage())
    flash.updateConfig({ claimCode: 'abc', serverKey: Uint8Array.of(9), flags: { updates: true } })
    flash.updateConfig({ serverAddress: { type: 'domain', address: 'cloud.example', port: 5683 } })
    const { config } = reopened(flash)
    assert.equal(config.claimCode, 'abc')
    assert.deepEqual([...(config.serverKey ?? [])], [9])
    assert.deepEqual(config.serverAddress, { type: 'domain', address: 'cloud.example', port: 5683 })
    assert.deepEqual(config.flags, { updates: true })
    flash.updateConfig({ claimCode: undefined })
    assert.equal(reopened(flash).config.claimCode, undefined)
  })

  it('says what is wrong with a configuration', () => {
    const storage = new MemoryStorage()
    const code = (code: string) => (error: unknown) => error instanceof FlashError && error.code === code
    assert.throws(() => new Flash(storage, testPlatform).config, code('no-config'))
    storage.write('config.json', Buffer.from('{"deviceId'))
    assert.throws(() => new Flash(storage, testPlatform).config, code('bad-config'))
    storage.write('config.json', Buffer.from('{"deviceId":"42"}'))
    assert.throws(() => new Flash(storage, testPlatform).config, code('bad-config'))
  })

  it('hands accepted files to the bootloader, combined ones in parts', () => {
    const flash = testFlash(new MemoryStorage())
    const first = testModule('system_part', 1, 1100, [], { flags: moduleFlags.combined })
    const second = testApplication(1100)
    assert.equal(flash.addPending(Buffer.concat([first, second])), updateResult.ok)
    const pending = reopened(flash).pending()
    assert.deepEqual(
      pending.map((module) => [module.function, module.index, module.version]),
      [
        ['system_part', 1, 1100],
        ['user_part', 1, 1],
      ],
    )
    assert.deepEqual([...(pending[1] ? (flash.pendingBytes(pending[1]) ?? []) : [])], [...second])
  })

  it('keeps one pending module for a slot, the last one', () => {
    const flash = testFlash(new MemoryStorage())
    flash.addPending(testModule('system_part', 1, 1100))
    flash.addPending(testModule('system_part', 1, 1101))
    assert.deepEqual(
      flash.pending().map((module) => module.version),
      [1101],
    )
    assert.equal(flash.storage.list('pending-').length, 1)
    flash.clearPending()
    assert.deepEqual(reopened(flash).pending(), [])
    assert.deepEqual(flash.storage.list('pending-'), [])
  })

  it('takes nothing that the bootloader cannot install', () => {
    const flash = testFlash(new MemoryStorage())
    assert.equal(flash.addPending(Buffer.from('hello')), updateResult.invalidFormat)
    assert.equal(flash.addPending(testModule('system_part', 3, 1)), updateResult.moduleNotFound)
    assert.equal(flash.addPending(testModule('asset', 0, 0)), updateResult.unsupportedModule)
    const combined = testModule('system_part', 1, 1, [], { flags: moduleFlags.combined })
    const three = Buffer.concat([combined, combined, testModule('system_part', 2, 1, needsSystemPart(1, 1))])
    assert.equal(flash.addPending(three), updateResult.unsupportedModule)
    assert.deepEqual(flash.pending(), [])
  })

  it('tells the reset reason once', () => {
    const flash = testFlash(new MemoryStorage())
    flash.setResetInfo({ reason: 'user', data: 7 })
    assert.deepEqual(reopened(flash).takeResetInfo(), { reason: 'user', data: 7 })
    assert.equal(reopened(flash).takeResetInfo(), undefined)
  })

  it('keeps retained memory and small data', () => {
    const flash = testFlash(new MemoryStorage())
    assert.equal(flash.retained.length, 0)
    flash.retained = Uint8Array.of(1, 2, 3)
    assert.deepEqual([...reopened(flash).retained], [1, 2, 3])
    flash.clearRetained()
    assert.equal(flash.retained.length, 0)
    flash.writeData('session', Uint8Array.of(4))
    assert.deepEqual([...(reopened(flash).readData('session') ?? [])], [4])
    flash.writeData('session', undefined)
    assert.equal(flash.readData('session'), undefined)
  })
})
