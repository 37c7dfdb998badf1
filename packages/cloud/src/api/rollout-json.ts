/** Rollouts as the API shows them (docs/releases.md). */
import { deviceOsReleaseOfModule } from '@aloe/firmware'
import type { ReleasePreview } from '../rollouts/preview.ts'
import type { RolloutDevice } from '../rollouts/rollout.ts'
import type { RolloutView } from '../rollouts/rollouts.ts'
import { iso } from './context.ts'

export function rolloutJson(rollout: RolloutView): Record<string, unknown> {
  const { releasedTo, counts } = rollout
  return {
    id: rollout.id,
    product_id: rollout.productId,
    version: rollout.version,
    state: rollout.state,
    complete: rollout.complete,
    reason: rollout.reason,
    product_default: releasedTo.includes(null),
    groups: releasedTo.filter((group) => group !== null),
    intelligent: rollout.intelligent,
    started_by: rollout.startedBy === '' ? null : rollout.startedBy,
    created_at: iso(rollout.createdAt),
    updated_at: iso(rollout.updatedAt),
    finished_at: iso(rollout.finishedAt),
    devices: { total: Object.values(counts).reduce((sum, count) => sum + count, 0), ...counts },
  }
}

export function rolloutDeviceJson(device: RolloutDevice): Record<string, unknown> {
  return {
    id: device.deviceId,
    state: device.state,
    why: device.why,
    attempts: device.attempts,
    reason: device.reason,
    next: device.next,
    retry_at: iso(device.retryAt),
    update: device.jobId,
    updated_at: iso(device.updatedAt),
  }
}

export function previewJson(preview: ReleasePreview): Record<string, unknown> {
  const { version, devices, when, held, total, seconds, excluded, warnings } = preview
  const ways = preview.ways.map(({ systemVersion, known, ...way }) => ({
    devices: way.devices,
    version: way.version,
    platform: way.platform,
    system_version: systemVersion,
    device_os: systemVersion === null ? null : (deviceOsReleaseOfModule(systemVersion)?.version ?? null),
    known,
    steps: way.steps,
    modules: way.modules,
    bytes: way.bytes,
    resets: way.resets,
    seconds: way.seconds,
  }))
  return { version, devices, when, held, ways, total, seconds, excluded, warnings }
}
