/** The cloud in its own process, with what the load generators need: its keys, a token, a device key. */
import { createPublicKey, type KeyObject, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { generateDeviceKey } from '@aloe/protocol'
import type { DeviceKind } from './bench-device.ts'
import { MeasuredProcess } from './measured-process.ts'
import { benchDeviceKeys, type UdpDeviceKind } from './udp-device.ts'

interface Ready {
  readonly httpUrl: string
  readonly tcpPort: number
  readonly udpPort: number
}

export interface CloudUnderTest {
  readonly process: MeasuredProcess<Ready>
  readonly httpUrl: string
  readonly deviceKind: DeviceKind
  readonly udpDeviceKind: UdpDeviceKind
  /** What it knows is in here. */
  readonly dataDir: string
  /** `Authorization` of the administrator. */
  readonly authorization: string
  /** Waits until exactly so many devices are online. */
  online(count: number): Promise<void>
  claim(deviceId: string): Promise<void>
  flash(deviceId: string, file: Uint8Array): Promise<void>
  /** Ends it as an administrator does, so that all is written. */
  close(): Promise<void>
  /** Starts it again with what it knew, on the same port for devices on UDP. */
  restart(): Promise<CloudUnderTest>
  stop(): Promise<void>
}

export async function startCloudUnderTest(): Promise<CloudUnderTest> {
  return startIn(await mkdtemp(join(tmpdir(), 'aloe-bench-')), randomBytes(12).toString('hex'), 0)
}

async function startIn(folder: string, password: string, port: number): Promise<CloudUnderTest> {
  const dataDir = join(folder, 'data')
  const process = await MeasuredProcess.start<Ready>('cloud.ts', dataDir, password, String(port))
  const { httpUrl, tcpPort, udpPort } = process.ready

  const wellKnown = (await (await fetch(`${httpUrl}/.well-known/aloe`)).json()) as {
    keys: { tcp: { publicKey: string }; udp: { publicKey: string } }
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
  const udpDeviceKind: UdpDeviceKind = {
    port: udpPort,
    serverKey: createPublicKey(wellKnown.keys.udp.publicKey),
    deviceKeys: await benchDeviceKeys(),
  }

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
    udpDeviceKind,
    dataDir,
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
    async close() {
      await process.ask('close')
      await process.stop()
    },
    restart: () => startIn(folder, password, udpPort),
    async stop() {
      await process.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
