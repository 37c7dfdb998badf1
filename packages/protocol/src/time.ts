/** A span of time or a point on a monotonic clock, in milliseconds. */
export type Millis = number
