import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  moduleFunctionCode,
  moduleFunctionLetter,
  moduleFunctionOf,
  moduleFunctionOfLetter,
  moduleFunctions,
  moduleKey,
  moduleLabel,
} from './module-function.ts'

describe('module functions', () => {
  it('have the codes of the prefix', () => {
    assert.equal(moduleFunctionCode('bootloader'), 2)
    assert.equal(moduleFunctionCode('asset'), 9)
    for (const name of moduleFunctions) assert.equal(moduleFunctionOf(moduleFunctionCode(name)), name)
    assert.equal(moduleFunctionOf(129), undefined)
  })

  it('have the letters of a describe', () => {
    assert.equal(moduleFunctions.map(moduleFunctionLetter).join(''), 'nrbmsu_cat')
    assert.equal(moduleFunctionOfLetter('s'), 'system_part')
    assert.equal(moduleFunctionOfLetter('e'), 'settings')
    for (const letter of ['_', '', 'x', 'bs', 'S']) assert.equal(moduleFunctionOfLetter(letter), undefined)
  })

  it('name modules for people and for maps', () => {
    assert.equal(moduleLabel({ function: 'system_part', index: 2, version: 1101 }), 'system_part 2@1101')
    assert.equal(moduleLabel({ function: 'system_part', index: 2 }), 'system_part 2')
    assert.equal(moduleKey({ function: 'user_part', index: 1 }), 'user_part:1')
  })
})
