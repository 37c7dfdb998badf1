/** The cloud in its own process, with what the load generators need: its keys, a token, a device key. */
import { createPublicKey, type KeyObject, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { generateDeviceKey } from '@aloe/protocol'
import type { DeviceKind } from './bench-device.ts'
import { MeasuredProcess } from './measured-process.ts'

interface Ready {
  readonly httpUrl: string
  readonly tcpPort: number
}

export interface CloudUnderTest {
  readonly process: MeasuredProcess<Ready>
  readonly httpUrl: string
  readonly deviceKind: DeviceKind
  /** `Authorization` of the administrator. */
  readonly authorization: string
  /** Waits until exactly so many devices are online. */
  online(count: number): Promise<void>
  claim(deviceId: string): Promise<void>
  flash(deviceId: string, file: Uint8Array): Promise<void>
  stop(): Promise<void>
}

export async function startCloudUnderTest(): Promise<CloudUnderTest> {
  const folder = await mkdtemp(join(tmpdir(), 'aloe-bench-'))
  const password = randomBytes(12).toString('hex')
  const process = await MeasuredProcess.start<Ready>('cloud.ts', join(folder, 'data'), password)
  const { httpUrl, tcpPort } = process.ready

  const wellKnown = (await (await fetch(`${httpUrl}/.well-known/aloe`)).json()) as {
    keys: { tcp: { publicKey: string } }
  }
  const serverKey: KeyObject = createPublicKey(wellKnown.keys.tcp.publicKey)
  const form = { grant_type: 'password', username: 'bench', password, client_id: 'particle', client_secret: 'particle' }
  const token = (await (
    await fetch(`${httpUrl}/oauth/token`, { method: 'POST', body: new URLSearchParams(form) })
  ).json()) as {
    access_token: string
  }
  const authorization = `Bearer ${token.access_token}`
  const deviceKind: DeviceKind = { port: tcpPort, serverKey, deviceKey: await generateDeviceKey() }

  async function ask(
    method: string,
    path: string,
    body: string | FormData,
    headers: Record<string, string> = {},
  ): Promise<void> {
    const response = await fetch(httpUrl + path, { method, body, headers: { authorization, ...headers } })
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
    await response.arrayBuffer()
  }

  return {
    process,
    httpUrl,
    deviceKind,
    authorization,
    async online(count) {
      while ((await process.ask<number>('connected')) !== count) await sleep(20)
    },
    claim: (id) => ask('POST', '/v1/devices', JSON.stringify({ id }), { 'content-type': 'application/json' }),
    flash(deviceId, file) {
      const form = new FormData()
      form.append('file', new Blob([Uint8Array.from(file)]), 'application.bin')
      return ask('PUT', `/v1/devices/${deviceId}`, form)
    },
    async stop() {
      await process.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
