/** What a webhook costs on its way from a device's event to a web server's answer. */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { BareRun } from './children/bare-webhooks.ts'
import { startCloudUnderTest } from './cloud-under-test.ts'
import { connectFleet, stopFleet } from './fleet.ts'
import { MeasuredProcess, type ProfileFolder } from './measured-process.ts'
import type { Figure } from './report.ts'

const event = 'sensor/temperature'
const data = Buffer.from('{"celsius":21.5,"humidity":48}')
/** As many requests at a time as the cloud sends to one host. */
const concurrency = 20
/** How the load arrives: events under way at most. */
const loads = [
  // Requests never run out, and each is delivered before the next group is written to the store.
  { title: 'webhook deliveries, as they come', underWay: 40 },
  // More than can be sent soon: deliveries are written, and deleted when they are done.
  { title: 'webhook deliveries, 500 waiting', underWay: 500 },
]

/** The web server: it takes the request, answers with a few bytes, and counts. */
class Target {
  received = 0
  headers: IncomingHttpHeaders = {}
  body = ''
  #waiting: { count: number; resolve: () => void } | undefined
  readonly #server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text
    })
    request.once('end', () => {
      response.end('{"ok":true}')
      this.headers = request.headers
      this.body = body
      this.received++
      if (this.#waiting && this.received >= this.#waiting.count) this.#waiting.resolve()
    })
  })

  async listen(): Promise<string> {
    this.#server.keepAliveTimeout = 60_000
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/in`
  }

  async reached(count: number): Promise<void> {
    if (this.received < count) {
      await new Promise<void>((resolve) => {
        this.#waiting = { count, resolve }
      })
    }
    this.#waiting = undefined
  }

  close(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }
}

export async function measureWebhooks(count: number, profile: ProfileFolder): Promise<Figure[]> {
  const target = new Target()
  const url = await target.listen()
  const cloud = await startCloudUnderTest()
  const bare = await MeasuredProcess.start('bare-webhooks.ts')
  try {
    const [device] = await connectFleet(cloud.deviceKind, { series: 1, count: 1 })
    if (!device) throw new Error('there is no device')
    await cloud.claim(device.id)
    const hook = { event: 'sensor', url, integration_type: 'Webhook' }
    const made = await fetch(`${cloud.httpUrl}/v1/integrations`, {
      method: 'POST',
      headers: { authorization: cloud.authorization, 'content-type': 'application/json' },
      body: JSON.stringify(hook),
    })
    if (made.status !== 201) throw new Error(`the webhook was not made: ${await made.text()}`)

    const pump = async (events: number, underWay: number): Promise<void> => {
      const end = target.received + events
      for (let sent = target.received; sent < end; sent++) {
        device.publish(event, data)
        if (sent - target.received > underWay) await target.reached(sent - underWay / 2)
      }
      await target.reached(end)
    }
    await pump(Math.ceil(count / 10), 40)
    const { host: _, connection: __, ...headers } = target.headers
    const run = (requests: number): BareRun => ({
      url,
      headers: headers as Record<string, string>,
      body: target.body,
      count: requests,
      concurrency,
    })
    const half = Math.ceil(count / 2)
    await bare.ask('run', run(Math.ceil(count / 10)))
    const figures: Figure[] = []
    for (const { title, underWay } of loads) {
      const bareBefore = await bare.cpuDuring(() => bare.ask('run', run(half)))
      const seconds = await cloud.process.cpuDuring(() => pump(count, underWay))
      const bareAfter = await bare.cpuDuring(() => bare.ask('run', run(half)))
      await cloud.process.profile(profile, `webhooks-${underWay}`, () => pump(count, underWay))
      figures.push({
        name: title,
        unit: 'deliveries / CPU s',
        better: 'more',
        value: count / seconds,
        limit: (2 * half) / (bareBefore + bareAfter),
        limitIs: `a bare loop of the same requests with node:http, ${concurrency} at a time`,
        count,
        details: { 'bytes of a body': target.body.length },
      })
    }
    stopFleet([device])
    return figures
  } finally {
    await cloud.stop()
    await bare.stop()
    target.close()
  }
}
