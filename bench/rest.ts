/** What it costs to call a device's function over HTTP: request, token, device, its answer, answer. */
import { Agent, request } from 'node:http'
import { startCloudUnderTest } from './cloud-under-test.ts'
import { connectFleet, stopFleet } from './fleet.ts'
import { MeasuredProcess, type ProfileFolder } from './measured-process.ts'
import type { Figure } from './report.ts'

const underWay = 32
const devices = 16
const body = JSON.stringify({ args: 'on' })

export async function measureRest(count: number, profile: ProfileFolder): Promise<Figure[]> {
  const cloud = await startCloudUnderTest()
  const bare = await MeasuredProcess.start<{ httpUrl: string }>('bare-rest.ts')
  const agent = new Agent({ keepAlive: true, maxSockets: underWay })
  try {
    const fleet = await connectFleet(cloud.deviceKind, { series: 1, count: devices })
    for (const { id } of fleet) await cloud.claim(id)
    const ids = fleet.map(({ id }) => id)
    const load = (url: string, calls: number) => callMany(agent, url, cloud.authorization, ids, calls)
    await load(cloud.httpUrl, Math.ceil(count / 5))
    await load(bare.ready.httpUrl, Math.ceil(count / 5))
    const half = Math.ceil(count / 2)
    const before = await bare.cpuDuring(() => load(bare.ready.httpUrl, half))
    const seconds = await cloud.process.cpuDuring(() => load(cloud.httpUrl, count))
    const after = await bare.cpuDuring(() => load(bare.ready.httpUrl, half))
    await cloud.process.profile(profile, 'rest', () => load(cloud.httpUrl, count))
    stopFleet(fleet)
    return [
      {
        name: 'function calls over HTTP',
        unit: 'calls / CPU s',
        better: 'more',
        value: count / seconds,
        limit: (2 * half) / (before + after),
        limitIs: 'a bare Fastify route that validates and answers the same, without token, device and its answer',
        count,
        details: { 'at a time': underWay },
      },
    ]
  } finally {
    agent.destroy()
    await cloud.stop()
    await bare.stop()
  }
}

async function callMany(agent: Agent, url: string, authorization: string, ids: readonly string[], count: number) {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) await call(agent, `${url}/v1/devices/${ids[next++ % ids.length]}/toggle`, authorization)
  }
  await Promise.all(Array.from({ length: underWay }, worker))
}

function call(agent: Agent, url: string, authorization: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { authorization, 'content-type': 'application/json', 'content-length': body.length }
    const sent = request(url, { method: 'POST', agent, headers }, (response) => {
      response.on('error', reject)
      response.resume()
      response.on('end', () => {
        if (response.statusCode === 200) resolve()
        else reject(new Error(`${url}: ${response.statusCode}`))
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}
