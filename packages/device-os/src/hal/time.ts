/** A span of time or a point on the device's monotonic clock, in milliseconds. */
export type Millis = number

export interface Timer {
  cancel(): void
}
