/** The limit of a webhook's way: the same requests, one after another on kept connections, and nothing else. */
import { Agent, request } from 'node:http'
import { answer } from './answers.ts'

export interface BareRun {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly count: number
  readonly concurrency: number
}

const agent = new Agent({ keepAlive: true })

function send({ url, headers, body }: BareRun): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', headers, agent }, (response) => {
      response.resume()
      response.once('end', resolve)
    })
    sent.once('error', reject)
    sent.end(body)
  })
}

answer({
  async run(run: BareRun) {
    let next = 0
    const worker = async (): Promise<void> => {
      while (next++ < run.count) await send(run)
    }
    await Promise.all(Array.from({ length: run.concurrency }, worker))
  },
})
