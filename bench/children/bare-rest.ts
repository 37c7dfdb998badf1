/** The limit of a call over HTTP: a Fastify route of the same shape that answers at once, and knows no device. */
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import { answer } from './answers.ts'

const app = Fastify()
const body = { type: 'object', properties: { args: { type: 'string' } } }
app.post<{ Params: { id: string }; Body: { args: string } }>(
  '/v1/devices/:id/:name',
  { schema: { body } },
  async (request) => ({
    id: request.params.id,
    name: null,
    connected: true,
    return_value: request.body.args.length,
  }),
)
await app.listen({ host: '127.0.0.1', port: 0 })
answer({}, { httpUrl: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}` })
