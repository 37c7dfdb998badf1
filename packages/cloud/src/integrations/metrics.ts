/** What Prometheus is told of webhooks. */
import type { MetricSource } from '../api/metric-source.ts'
import type { IntegrationStatistics } from './integrations.ts'

export function webhookMetrics(integrations: { statistics(): IntegrationStatistics }): MetricSource[] {
  const read = (): IntegrationStatistics => integrations.statistics()
  return [
    { name: 'integrations', help: 'Integrations there are', kind: 'gauge', read: () => read().integrations },
    {
      name: 'webhook_deliveries_total',
      help: 'Tries by outcome; dropped: not taken, for too many wait; dead: tried no more',
      kind: 'counter',
      label: 'outcome',
      read: () => read().deliveries,
    },
    {
      name: 'webhook_deliveries_waiting',
      help: 'Deliveries that wait or are under way',
      kind: 'gauge',
      read: () => read().waiting,
    },
    { name: 'webhook_requests_active', help: 'Requests under way', kind: 'gauge', read: () => read().active },
    { name: 'webhook_dead_letters', help: 'Dead letters kept', kind: 'gauge', read: () => read().deadLetters },
  ]
}
