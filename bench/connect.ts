/** What it costs the cloud to take a device in: handshake, Hello, both describes, subscriptions, time. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type CloudUnderTest, startCloudUnderTest } from './cloud-under-test.ts'
import { connectFleet, stopFleet } from './fleet.ts'
import { MeasuredProcess, type ProfileFolder } from './measured-process.ts'
import type { Figure } from './report.ts'

/** What a device told goes to the database some seconds later; that belongs to the cost. */
const untilWritten = 6_000

export async function measureConnect(count: number, profile: ProfileFolder): Promise<Figure[]> {
  const rsa = await MeasuredProcess.start('bare-rsa.ts')
  const cloud = await startCloudUnderTest()
  try {
    await connectAndLeave(cloud, 0, 50)
    await rsa.ask('handshakes', 50)
    const rounds = Math.ceil(count / 2)
    // Before and after the cloud's turn, for a shared machine changes its speed while it is measured.
    const bareBefore = await rsa.cpuDuring(() => rsa.ask('handshakes', rounds))
    const fresh = await cloud.process.cpuDuring(() => connectAndLeave(cloud, 1, count))
    const bareBetween = await rsa.cpuDuring(() => rsa.ask('handshakes', rounds))
    const known = await cloud.process.cpuDuring(() => connectAndLeave(cloud, 1, count))
    const bareAfter = await rsa.cpuDuring(() => rsa.ask('handshakes', rounds))
    await cloud.process.profile(profile, 'connect-known', () => connectAndLeave(cloud, 1, count))
    await cloud.process.profile(profile, 'connect-new', () => connectAndLeave(cloud, 2, count))

    const perDevice = (seconds: number, devices = count): number => (seconds * 1_000) / devices
    const figure = {
      unit: 'ms CPU',
      better: 'less',
      before: 8.3,
      goal: 1.0,
      count,
      limitIs: 'the bare RSA operations',
    } as const
    return [
      {
        ...figure,
        name: 'connect, known device',
        value: perDevice(known),
        limit: perDevice(bareBetween + bareAfter, 2 * rounds),
      },
      {
        ...figure,
        name: 'connect, new device',
        value: perDevice(fresh),
        limit: perDevice(bareBefore + bareBetween, 2 * rounds),
      },
    ]
  } finally {
    await cloud.stop()
    await rsa.stop()
  }
}

async function connectAndLeave(cloud: CloudUnderTest, series: number, count: number): Promise<void> {
  const devices = await connectFleet(cloud.deviceKind, { series, count })
  await cloud.online(count)
  await sleep(untilWritten)
  stopFleet(devices)
  await cloud.online(0)
}
