/** Updates as the API shows them. */
import type { MonthlyData } from '../updates/data-usage.ts'
import type { TimelineEntry } from '../updates/timeline.ts'
import type { UpdateJobView } from '../updates/updates.ts'
import { iso } from './context.ts'

export function jobJson(job: UpdateJobView): Record<string, unknown> {
  const { detail } = job
  return {
    id: job.id,
    device_id: job.deviceId,
    kind: job.kind,
    state: job.state,
    requested_by: job.requestedBy,
    target: detail.target ?? null,
    product_version: detail.productVersion ?? null,
    why: detail.why ?? null,
    module: detail.module ?? null,
    total: detail.total ?? null,
    progress: job.progress ?? null,
    plan: detail.plan ?? [],
    sent: detail.sent,
    estimate: detail.estimate ?? null,
    bytes: detail.bytes ?? 0,
    resets: detail.resets ?? 0,
    wait: detail.wait
      ? { cause: detail.wait.cause, reason: detail.wait.reason, until: iso(detail.wait.until ?? null) }
      : null,
    failures: detail.failures,
    interruptions: detail.interruptions,
    code: detail.code ?? null,
    reason: detail.reason ?? null,
    next: detail.next ?? null,
    created_at: iso(job.createdAt),
    updated_at: iso(job.updatedAt),
    finished_at: iso(job.finishedAt),
  }
}

export function timelineJson({ at, what, detail }: TimelineEntry): Record<string, unknown> {
  return { at: iso(at), what, ...detail }
}

export function dataJson(month: MonthlyData): Record<string, unknown> {
  return {
    month: month.month,
    devices: month.devices,
    ota: {
      sent: month.otaSent,
      received: month.otaReceived,
      total: month.otaSent + month.otaReceived,
      estimated: month.otaEstimated,
    },
    messages: {
      sent: month.messagesSent,
      received: month.messagesReceived,
      total: month.messagesSent + month.messagesReceived,
    },
  }
}
