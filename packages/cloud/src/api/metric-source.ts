/** A number of some other part of the cloud, asked for when somebody looks. */
export interface MetricSource {
  /** Without the prefix `aloe_`; counters end in `_total`. */
  readonly name: string
  readonly help: string
  readonly kind: 'counter' | 'gauge'
  /** By which the values below are told apart: a small and fixed set. */
  readonly label?: string
  read(): number | Readonly<Record<string, number>>
}
