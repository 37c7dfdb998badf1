/**
 * For tests: many clients of an event stream in a process of their own, so that what they cost is not measured with the
 * cloud. Run with `fork`: the parent asks how many of them have how many events.
 */
import { connect, type Socket } from 'node:net'

export interface CrowdOrder {
  readonly port: number
  readonly token: string
  readonly path: string
  readonly count: number
}

/** `gone` clients: closed, half closed and reset in turn. */
export type CrowdQuestion = 'fewest' | { readonly leave: number }

const mark = Buffer.from('\nid: ')

class Client {
  readonly socket: Socket
  events = 0
  opened = false
  #tail = Buffer.alloc(0)
  constructor({ port, token, path }: CrowdOrder) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.on('data', (chunk) => this.#read(chunk))
    this.socket.on('error', () => undefined)
    this.socket.write(`GET ${path} HTTP/1.1\r\nHost: aloe\r\nAuthorization: Bearer ${token}\r\n\r\n`)
  }
  #read(chunk: Buffer): void {
    const bytes = Buffer.concat([this.#tail, chunk])
    this.opened ||= bytes.includes(':ok')
    for (let at = bytes.indexOf(mark); at !== -1; at = bytes.indexOf(mark, at + mark.length)) this.events++
    // Too short to hold a whole mark, so that none is counted twice.
    this.#tail = Buffer.from(bytes.subarray(Math.max(0, bytes.length - mark.length + 1)))
  }
}

let clients: Client[] = []
const say = (message: unknown): void => void process.send?.(message)

process.once('message', (order: CrowdOrder) => {
  clients = Array.from({ length: order.count }, () => new Client(order))
  process.on('message', (question: CrowdQuestion) => {
    if (question === 'fewest') {
      say(clients.every(({ opened }) => opened) ? Math.min(...clients.map(({ events }) => events)) : -1)
      return
    }
    clients.splice(0, question.leave).forEach(({ socket }, index) => {
      if (index % 3 === 0) socket.destroy()
      else if (index % 3 === 1) socket.end()
      else socket.resetAndDestroy()
    })
    say(0)
  })
})
