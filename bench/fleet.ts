/** Many devices at once, connected a few at a time. */
import { BenchDevice, type DeviceKind } from './bench-device.ts'

/** As many handshakes at a time as keep the cloud busy, and no more: waiting in a queue costs nobody CPU time. */
const atATime = 16

/** The n-th device of a series; devices of different series have different ids. */
export function deviceId(series: number, n: number): string {
  return `422b${series.toString(16).padStart(8, '0')}${n.toString(16).padStart(12, '0')}`
}

/** Runs `work` for 0 to count - 1, a few at a time. */
export async function spread(count: number, work: (n: number) => Promise<void>, together = atATime): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: Math.min(together, count) }, worker))
}

/** Connects devices `from` to `from + count - 1` of a series; each has been answered everything when it resolves. */
export async function connectFleet(
  kind: DeviceKind,
  { series, from = 0, count }: { series: number; from?: number; count: number },
): Promise<BenchDevice[]> {
  const devices: BenchDevice[] = []
  await spread(count, async (n) => {
    devices.push(await BenchDevice.connect(deviceId(series, from + n), kind))
  })
  return devices
}

export function stopFleet(devices: readonly BenchDevice[]): void {
  for (const device of devices) device.stop()
}
