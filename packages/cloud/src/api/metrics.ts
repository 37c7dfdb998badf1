/** What the cloud tells Prometheus (docs/operations.md). */
import { performance } from 'node:perf_hooks'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { ApiContext } from './context.ts'
import type { MetricSource } from './metric-source.ts'

export interface ApiMetrics {
  /** @param seconds how long the answer took */
  request(method: string, route: string, status: number, seconds: number): void
  add(source: MetricSource): void
  /** In Prometheus' text format. */
  text(): Promise<string>
  readonly contentType: string
}

/** Anything else is "other": the method is the client's own text. */
const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

export function createMetrics(context: ApiContext): ApiMetrics {
  const registry = new Registry()
  const requests = new Histogram({
    name: 'aloe_http_request_duration_seconds',
    help: 'Requests by route, without event streams',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    registers: [registry],
  })
  const bound = new Map<string, { observe(value: number): void }>()

  const metrics: ApiMetrics = {
    contentType: registry.contentType,
    request(method, route, status, seconds) {
      const known = methods.has(method) ? method : 'other'
      const key = `${known} ${route} ${status}`
      let series = bound.get(key)
      if (!series) {
        series = requests.labels(known, route, String(status))
        bound.set(key, series)
      }
      series.observe(seconds)
    },
    add({ name, help, kind, label, read }) {
      const Kind = kind === 'counter' ? Counter : Gauge
      const metric: Counter | Gauge = new Kind({
        name: `aloe_${name}`,
        help,
        ...(label !== undefined && { labelNames: [label] }),
        registers: [registry],
        collect() {
          metric.reset()
          const value = read()
          if (typeof value === 'number') metric.inc(value)
          else for (const [key, each] of Object.entries(value)) metric.inc({ [label ?? 'kind']: key }, each)
        },
      })
    },
    text: () => registry.metrics(),
  }
  for (const source of [...processSources(), ...cloudSources(context), ...(context.metricSources ?? [])]) {
    metrics.add(source)
  }
  return metrics
}

function processSources(): MetricSource[] {
  let before = performance.eventLoopUtilization()
  return [
    {
      name: 'process_cpu_seconds_total',
      help: 'CPU time of the process',
      kind: 'counter',
      label: 'mode',
      read() {
        const { user, system } = process.cpuUsage()
        return { user: user / 1e6, system: system / 1e6 }
      },
    },
    {
      name: 'process_memory_bytes',
      help: 'Memory of the process',
      kind: 'gauge',
      label: 'kind',
      read() {
        const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage()
        return { resident: rss, heap: heapUsed, external, array_buffers: arrayBuffers }
      },
    },
    { name: 'process_uptime_seconds', help: 'Since the start', kind: 'gauge', read: () => process.uptime() },
    {
      name: 'event_loop_utilization',
      help: 'Share of the time in which the main thread was busy, since the last look: 0 to 1',
      kind: 'gauge',
      read() {
        const now = performance.eventLoopUtilization()
        const { utilization } = performance.eventLoopUtilization(now, before)
        before = now
        return utilization
      },
    },
  ]
}

function cloudSources({ gateway, registry, streams, eventLog, vitals, compiler, options }: ApiContext): MetricSource[] {
  const udp = () => gateway.statistics().udp
  return [
    { name: 'info', help: 'Version', kind: 'gauge', label: 'version', read: () => ({ [options.version]: 1 }) },
    {
      name: 'devices',
      help: 'Devices that are known and that are online',
      kind: 'gauge',
      label: 'state',
      read: () => ({ known: registry.size, online: gateway.statistics().online }),
    },
    {
      name: 'udp_datagrams_total',
      help: 'Datagrams of devices',
      kind: 'counter',
      label: 'direction',
      read: () => ({ received: udp()?.datagrams.received ?? 0, sent: udp()?.datagrams.sent ?? 0 }),
    },
    {
      name: 'udp_sessions',
      help: 'Sessions of devices on UDP, also of those that sleep',
      kind: 'gauge',
      label: 'place',
      read: () => ({ store: udp()?.sessions.stored ?? 0, memory: udp()?.sessions.inMemory ?? 0 }),
    },
    {
      name: 'udp_handshakes_under_way',
      help: 'DTLS handshakes that have begun and not ended',
      kind: 'gauge',
      read: () => udp()?.handshakes.underWay ?? 0,
    },
    {
      name: 'udp_handshakes_total',
      help: 'DTLS handshakes',
      kind: 'counter',
      label: 'outcome',
      read: () => ({ established: udp()?.handshakes.established ?? 0, failed: udp()?.handshakes.failed ?? 0 }),
    },
    {
      name: 'udp_drops_total',
      help: 'Datagrams and messages that were left out',
      kind: 'counter',
      label: 'reason',
      read: () => udp()?.drops ?? {},
    },
    {
      name: 'events_total',
      help: 'Events that were published',
      kind: 'counter',
      read: () => streams.statistics().events,
    },
    {
      name: 'event_streams',
      help: 'Event streams that are open',
      kind: 'gauge',
      label: 'state',
      read() {
        const { open, replaying } = streams.statistics()
        return { live: open - replaying, replaying }
      },
    },
    {
      name: 'event_streams_opened_total',
      help: 'Event streams that were opened',
      kind: 'counter',
      read: () => streams.statistics().opened,
    },
    {
      name: 'event_streams_dropped_total',
      help: 'Event streams that were ended because their clients did not read',
      kind: 'counter',
      label: 'reason',
      read: () => streams.statistics().dropped,
    },
    {
      name: 'events_delivered_total',
      help: 'Events written to clients of event streams',
      kind: 'counter',
      read: () => streams.statistics().delivered,
    },
    {
      name: 'event_log_events',
      help: 'Events of the replay log: all, and those that wait for their commit',
      kind: 'gauge',
      label: 'state',
      read: () => ({ kept: eventLog.size, uncommitted: eventLog.uncommitted }),
    },
    {
      name: 'event_log_bytes',
      help: 'Bytes of the replay log',
      kind: 'gauge',
      read: () => eventLog.bytes,
    },
    {
      name: 'vitals_waiting',
      help: 'Vitals of devices that are not written yet',
      kind: 'gauge',
      read: () => vitals.waiting,
    },
    {
      name: 'compilations',
      help: 'Compilations under way and waiting',
      kind: 'gauge',
      label: 'state',
      read: () => ({ ...compiler.statistics() }),
    },
  ]
}
