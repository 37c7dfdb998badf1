import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readReleaseFile } from '@aloe/firmware'
import fc from 'fast-check'
import { createPlanBatch, linesOf, runPlanBatch } from './plan-batch.ts'

const module = (name: string, index: number, version: number, dependencies: unknown[] = []) => ({
  function: name,
  index,
  version,
  dependencies,
})
const floor = (name: string, index: number, version: number) => ({ function: name, index, version })

const boron = (...modules: unknown[]) => ({ boron: { platform_id: 13, modules } })
const radio = floor('radio_stack', 0, 202)

const catalogue = readReleaseFile({
  releases: [
    {
      version: '5.8.2',
      platforms: boron(
        module('system_part', 1, 5802, [floor('bootloader', 0, 2300), radio]),
        module('bootloader', 0, 2601),
      ),
    },
    {
      version: '6.2.0',
      platforms: boron(
        module('system_part', 1, 6200, [floor('bootloader', 0, 3100), radio]),
        module('bootloader', 0, 3100),
      ),
    },
    { version: '6.2.1-rc.1', prerelease: true, platforms: boron(module('bootloader', 0, 3100)) },
    {
      version: '6.2.1',
      platforms: boron(
        module('system_part', 1, 6201, [floor('bootloader', 0, 3100), radio]),
        module('bootloader', 0, 3100),
      ),
    },
  ],
  aux_modules: { radio_stack: [{ version: 202, dependencies: [], platforms: ['boron'] }] },
})

const question = {
  platform: 'boron',
  installed: [floor('system_part', 1, 5802), floor('bootloader', 0, 2601), radio],
  need: [floor('system_part', 1, 6200)],
}

async function ask(text: string | Uint8Array, chunk = 7): Promise<string[]> {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text
  async function* input() {
    for (let i = 0; i < bytes.length; i += chunk) yield bytes.subarray(i, i + chunk)
  }
  let out = ''
  const output = {
    write: (part: string) => {
      out += part
      return out.length % 2 === 0
    },
    once: (_event: 'drain', listener: () => void) => setImmediate(listener),
  }
  await runPlanBatch(input(), output, createPlanBatch(catalogue))
  assert.ok(out === '' || out.endsWith('\n'))
  return out.split('\n').slice(0, -1)
}

describe('aloe plan --batch', () => {
  it('answers with the steps, each with the newest final release that carries it', async () => {
    const [answer = ''] = await ask(`${JSON.stringify(question)}\n`)
    assert.equal(
      answer,
      '{"ok":true,"steps":[{"function":"bootloader","index":0,"version":3100,"release":"6.2.1"},{"function":"system_part","index":1,"version":6200,"release":"6.2.0"}]}',
    )
  })

  it('names no release of a radio stack', async () => {
    const without = { ...question, installed: question.installed.slice(0, 2), need: [] }
    const [answer = ''] = await ask(JSON.stringify(without))
    assert.deepEqual(JSON.parse(answer), { ok: true, steps: [{ ...radio, release: null }] })
  })

  it('takes a platform by number and alias, and dependencies that are given', async () => {
    const given = {
      ...question,
      installed: [{ ...floor('system_part', 1, 1), dependencies: [] }, floor('bootloader', 0, 9), radio],
    }
    for (const platform of [13, 'b', 'Boron']) {
      const [answer = ''] = await ask(JSON.stringify({ ...given, platform }))
      assert.equal(JSON.parse(answer).steps.length, 2, String(platform))
    }
  })

  it('answers a line each, in order, whatever the lines hold', async () => {
    const bad = [
      '',
      '{',
      'null',
      '[]',
      '{}',
      '{"platform":"boron"}',
      '{"platform":"nosuch","installed":[]}',
      '{"platform":{},"installed":[]}',
      '{"platform":"boron","installed":[{"function":"user_part"}]}',
      '{"platform":"boron","installed":[],"need":[{"function":"x","index":0,"version":1}]}',
      '{"platform":"boron","installed":[],"need":[{"function":"system_part","index":1,"version":-1}]}',
      '{"platform":"boron","installed":[],"need":{}}',
      '{"platform":"boron","installed":[],"need":[{"function":"system_part","index":1,"version":9999}]}',
    ]
    const lines = bad.flatMap((line) => [line, JSON.stringify(question)])
    const answers = (await ask(lines.join('\r\n'))).map((line) => JSON.parse(line))
    assert.equal(answers.length, lines.length)
    for (const [i, answer] of answers.entries()) {
      assert.equal(answer.ok, i % 2 === 1, lines[i])
      if (!answer.ok) assert.equal(typeof answer.reason, 'string')
    }
    assert.match(answers.at(-2).reason, /the catalogue has no system_part 1@9999 or newer/)
  })

  it('goes on after a line without end', async () => {
    const long = new TextEncoder().encode(`${'x'.repeat(3_000_000)}\n${JSON.stringify(question)}\n`)
    const answers = (await ask(long, 65_536)).map((line) => JSON.parse(line))
    assert.deepEqual(
      answers.map(({ ok }) => ok),
      [false, true],
    )
    assert.match(answers[0].reason, /longer than 1048576 bytes/)
  })

  it('finds the same lines however the input is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.stringMatching(/^[a-zäß€😀 ]*$/u)),
        fc.integer({ min: 1, max: 9 }),
        async (list, cut) => {
          const bytes = new TextEncoder().encode(list.map((line) => `${line}\n`).join(''))
          async function* input() {
            for (let i = 0; i < bytes.length; i += cut) yield bytes.subarray(i, i + cut)
          }
          const lines: string[] = []
          for await (const some of linesOf(input())) lines.push(...some)
          assert.deepEqual(lines, list)
        },
      ),
    )
  })
})
