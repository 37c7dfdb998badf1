/** What it costs to find out whose token it is, among ten thousand: from memory, by its hash. */
import { hash } from 'node:crypto'
import { Identity } from '../packages/cloud/src/identity/identity.ts'
import { openStore } from '../packages/cloud/src/store/store.ts'
import type { Figure } from './report.ts'

const tokens = 10_000
const perUser = 500

export async function measureTokenCheck(count: number): Promise<Figure[]> {
  const store = await openStore()
  const passwordCost = { memory: 64, passes: 1, parallelism: 1 }
  const identity = await Identity.open({ store, now: Date.now, passwordCost })
  const known: string[] = []
  for (let u = 0; u < tokens / perUser; u++) {
    const { id } = await identity.users.create(`user${u}`, 'long enough')
    for (let t = 0; t < perUser; t++) known.push((await identity.tokens.issue(id, 'particle', null)).token)
  }
  const bare = new Map(known.map((token) => [hash('sha256', token, 'hex'), token]))
  const checks = {
    aloe: (token: string) => identity.authenticate(token) !== undefined,
    bare: (token: string) => bare.has(hash('sha256', token, 'hex')),
  }
  const seconds = { aloe: 0, bare: 0 }
  const rounds = 10
  // In turn, so that whatever else the machine does hits both.
  for (let round = -1; round < rounds; round++) {
    for (const kind of ['bare', 'aloe'] as const) {
      const before = process.cpuUsage()
      for (let i = 0; i < count / rounds; i++) {
        if (!checks[kind](known[i % tokens] ?? '')) throw new Error('a token is not known')
      }
      const { user, system } = process.cpuUsage(before)
      if (round >= 0) seconds[kind] += (user + system) / 1e6
    }
  }
  await identity.close()
  await store.close()
  return [
    {
      name: 'token check',
      unit: 'checks / CPU s',
      better: 'more',
      value: count / seconds.aloe,
      limit: count / seconds.bare,
      limitIs: 'SHA-256 and a look into a Map',
      count,
      details: { tokens },
    },
  ]
}
