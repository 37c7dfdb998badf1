/**
 * Bad input for every route that the running API has: whatever comes, the answer is JSON, no server error, and no 401,
 * which would make the official CLI forget its login.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { makeWorld, type World } from './access-world.ts'
import type { RouteRow } from './route-table.ts'

/** Milliseconds. */
const longestAnswer = 20_000
const runs = Number(process.env.ALOE_FUZZ_RUNS ?? 150)

const isStream = ({ method, url }: RouteRow): boolean => method === 'GET' && /\/events(\/|$)/.test(url)
const named = ({ method, url }: RouteRow): string => `${method} ${url}`

/** What would be bad under any name. */
const wrongValues: readonly unknown[] = [
  null,
  -1,
  1e308,
  '',
  '\u0000\ud800',
  '../../../../etc/passwd',
  [],
  [[null]],
  { toString: null, __proto__: { admin: true } },
  true,
  "'; drop table users; --",
]

const wrongPaths: readonly string[] = [
  '..%2f..%2f..%2fetc%2fpasswd',
  '%2e%2e%2f',
  '%00',
  '%ff%fe',
  '__proto__',
  'constructor',
  '-1',
  '1e9',
  'f'.repeat(24),
  '9'.repeat(40),
  'x'.repeat(1_500),
  '%f0%9f%92%a1',
  "'%20or%201=1",
]

interface Sent {
  readonly path?: string
  readonly type?: string
  readonly body?: string | Buffer
}

describe('every route, under bad input,', () => {
  let world: World
  let rows: readonly RouteRow[]
  let token = ''
  let administrator = ''
  before(async () => {
    world = await makeWorld()
    administrator = world.callers.find((who) => who.kind === 'person' && who.administrator)?.token ?? ''
    // What removes things comes last, and products at the end: the others need them.
    const lateness = ({ method, url }: RouteRow): number =>
      method === 'DELETE' ? (url === '/v1/products/:product' ? 2 : 1) : 0
    rows = world.api.app.routeTable
      .filter(({ method, url }) => method !== 'HEAD' && !url.startsWith('/docs'))
      .sort((a, b) => lateness(a) - lateness(b))
  })
  after(() => world.close())

  /** @returns what is wrong with the answer, if anything is */
  async function send(row: RouteRow, { path = world.path(row), type = 'application/json', body }: Sent) {
    const { identity, user } = world.api
    // Some routes end the tokens of their caller.
    if (!identity.tokens.check(token)) token = (await identity.tokens.issue(user.id, 'particle', null)).token
    const byAdministrator = row.access?.to === 'administrators' || row.url === '/v1/users'
    const late = AbortSignal.timeout(longestAnswer)
    const answer = await world.api.app
      .inject({
        signal: late,
        method: row.method as 'GET',
        url: path,
        headers: {
          authorization: `Bearer ${byAdministrator ? administrator : token}`,
          ...(body !== undefined && { 'content-type': type }),
        },
        ...(body !== undefined && { payload: body }),
      })
      .catch((error: unknown) => {
        if (late.aborted) return undefined
        throw error
      })
    if (!answer) return `${named(row)} at ${path.slice(0, 200)} does not answer: a stream?`
    const { statusCode: status, headers, body: text } = answer
    const sent = typeof body === 'string' ? body.slice(0, 200) : body === undefined ? '' : `${body.length} bytes`
    const state = `${named(row)} at ${path.slice(0, 200)} with ${type} ${sent} -> ${status} ${text.slice(0, 300)}`
    if (status >= 500 && status !== 501) return state
    if (status === 401) return `${state} (the CLI would log out)`
    if (status < 400) return undefined
    const json = String(headers['content-type']).startsWith('application/json')
    if (!json) return `${state} (no JSON)`
    const { error, error_description = '' } = JSON.parse(text) as { error?: unknown; error_description?: string }
    if (typeof error !== 'string' || error === '') return `${state} (says nothing)`
    return /access token/i.test(error_description) ? `${state} (the CLI would log out)` : undefined
  }

  async function sendAll(of: (row: RouteRow) => readonly Sent[]): Promise<void> {
    const wrong: string[] = []
    let count = 0
    for (const row of rows) {
      for (const sent of of(row)) {
        const problem = await send(row, sent)
        if (problem !== undefined) wrong.push(problem)
        count++
      }
    }
    assert.ok(count > rows.length / 3)
    assert.deepEqual(wrong.slice(0, 10), [])
  }

  const takesBody = ({ method }: RouteRow): boolean => method !== 'GET'

  it('takes no names of files, of prototypes and of nobody for an id', async () => {
    await sendAll((row) => {
      const names = [...row.url.matchAll(/:(\w+)/g)].map(([, name = '']) => name)
      // With good ids, a stream would open.
      const wanted = isStream(row) ? names.filter((name) => name !== 'version') : names
      const rest = row.url.includes('*') && !isStream(row) ? ['*'] : []
      return [...wanted, ...rest].flatMap((name) =>
        wrongPaths.map((value) => ({
          path: world.pathWith(row, { [name]: value }),
          ...(takesBody(row) && { body: '{}' }),
        })),
      )
    })
  })

  it('refuses values of the wrong type', async () => {
    await sendAll((row) => {
      if (!takesBody(row)) return []
      const names = row.fields.body.length > 0 ? row.fields.body : ['name', 'id']
      return wrongValues.map((value) => ({
        body: JSON.stringify(Object.fromEntries(names.map((name) => [name, value]))),
      }))
    })
  })

  it('reads strange queries', async () => {
    await sendAll((row) => {
      if (isStream(row)) return []
      const names = [...row.fields.query, 'page', 'per_page', 'format', 'groups']
      const path = world.path(row)
      return ['-1', 'x', '%00', '1e99', ''].flatMap((value) =>
        ['', '[]', '[a][b]', '[__proto__]'].slice(0, value === 'x' ? 4 : 1).map((brackets) => ({
          path: `${path}?${names.map((name) => `${name}${brackets}=${value}`).join('&')}`,
          ...(takesBody(row) && { body: '{}' }),
        })),
      )
    })
  })

  it('refuses bodies that are no JSON, of another type, too deep or too large, and ignores fields it does not know', async () => {
    const huge = JSON.stringify({ name: 'x'.repeat(world.api.app.initialConfig.bodyLimit ?? 0) })
    const deep = `${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`
    await sendAll((row) =>
      takesBody(row)
        ? [
            { body: '{"name":' },
            { body: '[1,2]' },
            { body: '"text"' },
            { body: 'null' },
            { body: '{"__proto__":{"a":1},"constructor":{"prototype":{"b":1}}}' },
            { body: '{"zzz":1,"another":{"unknown":[]}}' },
            { body: deep },
            { body: huge },
            { body: '<a/>', type: 'text/xml' },
            { body: Buffer.from([0xff, 0xfe, 0, 1]), type: 'application/octet-stream' },
            { body: 'a[b][c][d][e][f][g]=1&a=2&=3&%ff=%fe', type: 'application/x-www-form-urlencoded' },
            { body: '--x\r\nbroken', type: 'multipart/form-data; boundary=x' },
            { body: 'none', type: 'multipart/form-data' },
            { body: '{}', type: 'application/json; charset=utf-16' },
          ]
        : [],
    )
  })

  it('never uses the name of an uploaded file as a path, and opens no bomb', async () => {
    const part = (filename: string, content: string, name = 'file'): Sent => ({
      type: 'multipart/form-data; boundary=x',
      body: `--x\r\nContent-Disposition: form-data; name="${name}"; filename="${filename}"\r\nContent-Type: application/octet-stream\r\n\r\n${content}\r\n--x--\r\n`,
    })
    await sendAll((row) =>
      row.upload
        ? [
            part('../../../../etc/passwd', 'x'),
            part('/etc/passwd', 'x'),
            part('..\\..\\windows\\system.ini', 'x'),
            part('a.bin', ''),
            part('a.bin', 'x'.repeat(100_000)),
            part('a.zip', 'PK\u0003\u0004 no archive'),
            part('a.ino', 'void setup() {}', '__proto__'),
            part('x'.repeat(5_000), 'x'),
          ]
        : takesBody(row)
          ? [part('file.txt', 'x')]
          : [],
    )
  })

  it('stands whatever else comes', async () => {
    const value = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.string({ unit: 'binary' }), fc.double(), fc.constant(null))
    const input = fc.nat().chain((index) => {
      const safe = rows.filter((row) => !isStream(row) && row.method !== 'DELETE')
      const row = safe[index % safe.length] as RouteRow
      const names = [...row.fields.body, ...row.fields.query, 'zzz']
      return fc.record({
        row: fc.constant(row),
        fields: fc.dictionary(fc.constantFrom(...names), value),
        form: fc.boolean(),
      })
    })
    await fc.assert(
      fc.asyncProperty(input, async ({ row, fields, form }) => {
        const text = Object.entries(fields).map(([name, one]): [string, string] => [name, String(JSON.stringify(one))])
        const body = form ? new URLSearchParams(text).toString() : JSON.stringify(fields)
        const type = form ? 'application/x-www-form-urlencoded' : 'application/json'
        assert.equal(await send(row, takesBody(row) ? { body, type } : {}), undefined)
      }),
      { numRuns: runs },
    )
  })
})
