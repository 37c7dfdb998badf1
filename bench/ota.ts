/** What it costs the cloud to send an application to a device, from the request of its owner on. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { application, BenchDevice } from './bench-device.ts'
import { type CloudUnderTest, startCloudUnderTest } from './cloud-under-test.ts'
import { deviceId } from './fleet.ts'
import { MeasuredProcess, type ProfileFolder } from './measured-process.ts'
import type { Figure } from './report.ts'

interface Transfer {
  readonly title: string
  readonly otaV3: boolean
  /** Bytes of CoAP before the file's bytes in a message. */
  readonly overhead: number
}

const transfers: readonly Transfer[] = [
  { title: 'OTA, windowed (v3)', otaV3: true, overhead: 11 },
  { title: 'OTA, chunked (fast)', otaV3: false, overhead: 16 },
]

export async function measureOta(
  { devices: count, bytes }: { devices: number; bytes: number },
  profile: ProfileFolder,
): Promise<Figure[]> {
  const figures: Figure[] = []
  const cloud = await startCloudUnderTest()
  const bare = await MeasuredProcess.start<{ tcpPort: number }>('bare-update.ts')
  const sink = connect({ port: bare.ready.tcpPort, host: '127.0.0.1' })
  await once(sink, 'connect')
  let arrived = 0
  sink.on('data', (chunk) => {
    arrived += chunk.length
  })
  const sendBare = async (size: { bytes: number; chunk: number; overhead: number }): Promise<void> => {
    const target = arrived + (await bare.ask<number>('send', size))
    while (arrived < target) await once(sink, 'data')
  }
  try {
    const file = application(bytes)
    for (const [series, { title, otaV3, overhead }] of transfers.entries()) {
      await update(cloud, { series: 2 * series, count: 2, otaV3, file: application(100_000) })
      const cost = await update(cloud, { series: 2 * series + 1, count, otaV3, file })
      const { chunk } = cost
      await sendBare({ bytes: 1_000_000, chunk, overhead })
      const bareSeconds = await bare.cpuDuring(() => sendBare({ bytes: count * file.length, chunk, overhead }))
      await cloud.process.profile(profile, `ota-${otaV3 ? 'windowed' : 'chunked'}`, () =>
        update(cloud, { series: 2 * series + 10, count, otaV3, file }),
      )
      const megabytes = (count * file.length) / 1e6
      figures.push({
        name: title,
        unit: 'MB / CPU s',
        better: 'more',
        value: megabytes / cost.transfer,
        limit: megabytes / bareSeconds,
        limitIs: 'a bare loop that encrypts, frames and writes the same bytes',
        count,
        details: {
          'bytes of a file': file.length,
          'bytes of a chunk': chunk,
          'MB/s by the clock': megabytes / cost.wall,
          'MB / CPU s with upload, checks and commit': megabytes / (cost.transfer + cost.request),
        },
      })
    }
  } finally {
    sink.destroy()
    await cloud.stop()
    await bare.stop()
  }
  return figures
}

interface Cost {
  /** CPU seconds of the owner's requests: upload, checks, and the commit of the file, until the devices were asked. */
  readonly request: number
  /** CPU seconds from the devices' consent on. */
  readonly transfer: number
  /** Seconds by the clock, of the transfers. */
  readonly wall: number
  /** Bytes. */
  readonly chunk: number
}

/** Flashes devices at the same time; resolves when all have the file. */
async function update(
  cloud: CloudUnderTest,
  { series, count, otaV3, file }: { series: number; count: number; otaV3: boolean; file: Uint8Array },
): Promise<Cost> {
  const cpu = async (): Promise<number> => (await cloud.process.ask<number>('cpu')) / 1e6
  const devices: BenchDevice[] = []
  for (let n = 0; n < count; n++) {
    const device = await BenchDevice.connect(deviceId(series, n), { ...cloud.deviceKind, otaV3 })
    await cloud.claim(device.id)
    devices.push(device)
  }
  const begin = await cpu()
  const updated = devices.map((device) => new Promise<void>((resolve) => Object.assign(device, { updated: resolve })))
  const asked = devices.map((device) => new Promise<void>((resolve) => Object.assign(device, { updating: resolve })))
  const accepted = devices.map((device) => cloud.flash(device.id, file))
  await Promise.all(asked)
  // No device has answered yet: what follows is the transfers alone.
  const transferring = await cpu()
  const since = performance.now()
  for (const { socket } of devices) socket.uncork()
  await Promise.all(accepted)
  await Promise.all(updated)
  const wall = (performance.now() - since) / 1_000
  const end = await cpu()
  for (const device of devices) device.stop()
  return {
    request: transferring - begin,
    transfer: end - transferring,
    wall,
    chunk: devices[0]?.request?.chunkSize ?? 0,
  }
}
