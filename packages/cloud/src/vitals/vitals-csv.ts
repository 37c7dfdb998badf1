/** Vitals as a table: a column for every value that some record has, in the order in which they first come. */
import type { VitalsRecord } from './vitals.ts'

export function vitalsCsv(records: readonly VitalsRecord[]): string {
  const columns = new Set<string>()
  const rows = records.map(({ deviceId, updatedAt, payload }) => {
    const values = new Map<string, unknown>()
    flatten('', payload, values)
    for (const name of values.keys()) columns.add(name)
    return { deviceId, time: new Date(updatedAt).toISOString(), values }
  })
  const names = [...columns]
  const lines = rows.map(({ deviceId, time, values }) => [time, deviceId, ...names.map((name) => values.get(name))])
  return `${[['updated_at', 'deviceID', ...names], ...lines].map((line) => line.map(field).join(',')).join('\r\n')}\r\n`
}

function flatten(path: string, value: unknown, into: Map<string, unknown>): void {
  if (typeof value !== 'object' || value === null) {
    into.set(path, value)
    return
  }
  for (const [key, inner] of Object.entries(value)) flatten(path === '' ? key : `${path}.${key}`, inner, into)
}

/** RFC 4180. Text that a spreadsheet would run as a formula is marked as text; numbers are not text. */
function field(value: unknown): string {
  if (value === undefined || value === null) return ''
  if (typeof value === 'number') return String(value)
  const text = String(value)
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
