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
      const before = await cloud.process.ask<number>('cpu')
      const begin = performance.now()
      const chunk = await update(cloud, { series: 2 * series + 1, count, otaV3, file })
      const wall = (performance.now() - begin) / 1_000
      const seconds = ((await cloud.process.ask<number>('cpu')) - before) / 1e6
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
        value: megabytes / seconds,
        limit: megabytes / bareSeconds,
        limitIs: 'a bare loop that encrypts, frames and writes the same bytes',
        count,
        details: { 'bytes of a file': file.length, 'bytes of a chunk': chunk, 'MB/s by the clock': megabytes / wall },
      })
    }
  } finally {
    sink.destroy()
    await cloud.stop()
    await bare.stop()
  }
  return figures
}

/** Flashes devices at the same time; resolves with the size of a chunk when all have the file. */
async function update(
  cloud: CloudUnderTest,
  { series, count, otaV3, file }: { series: number; count: number; otaV3: boolean; file: Uint8Array },
): Promise<number> {
  const sizes = await Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const device = await BenchDevice.connect(deviceId(series, n), { ...cloud.deviceKind, otaV3 })
      await cloud.claim(device.id)
      const updated = new Promise<void>((resolve) => {
        device.updated = resolve
      })
      await cloud.flash(device.id, file)
      await updated
      device.stop()
      return device.request?.chunkSize ?? 0
    }),
  )
  return sizes[0] ?? 0
}
