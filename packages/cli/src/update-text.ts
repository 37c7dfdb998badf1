/** Updates for people. */
import type { Colors } from './colors.ts'
import { bytes, printable, table } from './output.ts'
import type { Cost, MonthlyData, TimelineEntry, UpdateJob, UpdateModule } from './update-client.ts'

export function labelOf({ label, function: name, index, version, name: asset }: UpdateModule): string {
  return printable(label ?? (asset === undefined ? `${name} ${index}@${version}` : `asset ${asset}`))
}

export function stateText({ state, wait, reason, progress }: UpdateJob, colors: Colors): string {
  if (state === 'waiting' && wait) {
    const until = wait.until === null ? '' : `, until ${time(wait.until)}`
    return colors.yellow(`waiting: ${printable(wait.reason)}${until}`)
  }
  if (state === 'sending' && progress && progress.total > 0) {
    return colors.cyan(`sending, ${Math.floor((100 * progress.bytes) / progress.total)} %`)
  }
  if (state === 'failed') return colors.red(`failed: ${printable(reason ?? '')}`)
  if (state === 'done') return colors.green('done')
  return state
}

/** What a job is for. */
export function jobText({ kind, target, product_version: version, module }: UpdateJob): string {
  if (target !== null) return `${kind} to Device OS ${printable(target)}`
  if (version !== null) return `${kind} of version ${version}`
  return module ? `${kind} of ${labelOf(module)}` : kind
}

export function jobsText(jobs: readonly UpdateJob[], colors: Colors): string {
  if (jobs.length === 0) return 'There were no updates.'
  const rows = jobs.map((job) => [
    time(job.created_at),
    job.id.slice(0, 8),
    jobText(job),
    `${job.sent.length}`,
    bytes(job.bytes),
    stateText(job, colors),
  ])
  return table([['WHEN', 'UPDATE', 'WHAT', 'SENT', 'BYTES', 'STATE'], ...rows], colors)
}

export function timelineText(timeline: readonly TimelineEntry[], colors: Colors): string {
  return timeline.map((entry) => entryText(entry, colors)).join('\n')
}

export function entryText({ at, what, ...detail }: TimelineEntry, colors: Colors): string {
  return `${colors.dim(clockTime(at))}  ${what.padEnd(9)} ${detailText(detail)}`.trimEnd()
}

export function detailText(detail: Readonly<Record<string, unknown>>): string {
  const parts: string[] = []
  const { module, modules, plan, bytes: count, total, seconds, reason, cause, resets, code, next } = detail
  const shown = list(modules) ?? list(plan) ?? (isModule(module) ? labelOf(module) : undefined)
  if (shown) parts.push(shown)
  if (typeof count === 'number')
    parts.push(typeof total === 'number' ? `${bytes(count)} of ${bytes(total)}` : bytes(count))
  if (typeof resets === 'number') parts.push(`${resets} resets`)
  if (typeof seconds === 'number') parts.push(`${seconds} s`)
  if (typeof cause === 'string') parts.push(printable(cause))
  if (typeof reason === 'string') parts.push(printable(reason) + (typeof code === 'number' ? ` (${code})` : ''))
  if (typeof next === 'string') parts.push(printable(next))
  return parts.join(', ')
}

export function costText({ modules, bytes: count, resets, seconds }: Cost): string {
  const one = (number: number, what: string) => `${number} ${what}${number === 1 ? '' : 's'}`
  const duration = seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`
  return `${one(modules, 'module')}, ${bytes(count)}, ${one(resets, 'reset')}, about ${duration}`
}

export function dataText(months: readonly MonthlyData[], colors: Colors): string {
  if (months.length === 0) return 'Nothing has been counted yet.'
  const rows = months.map(({ month, devices, ota, messages }) => [
    month,
    String(devices),
    bytes(ota.total),
    bytes(ota.estimated),
    bytes(messages.total),
  ])
  return table([['MONTH', 'DEVICES', 'UPDATES', 'EXPECTED', 'MESSAGES'], ...rows], colors)
}

function list(value: unknown): string | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined
  return value.filter(isModule).map(labelOf).join(', ')
}

function isModule(value: unknown): value is UpdateModule {
  return typeof value === 'object' && value !== null && 'function' in value
}

/** `2026-11-21 12:34`, in the time zone of whoever looks. */
function time(iso: string): string {
  const date = new Date(iso)
  const two = (number: number) => String(number).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`
}

function clockTime(iso: string): string {
  return new Date(iso).toTimeString().slice(0, 8)
}
