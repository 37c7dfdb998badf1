/** What the system does for its application: the far side of `wiring/requests.ts`. */
import type { AssetStore } from '../flash/asset-store.ts'
import type { Hal } from '../hal/hal.ts'
import { colorAt, type Rgb } from '../hal/led-state.ts'
import type { Millis, Timer } from '../hal/time.ts'
import type { Services } from '../wiring/services.ts'
import type { SharedState } from '../wiring/shared-state.ts'
import type { CloudLink } from './cloud-link.ts'
import type { Indicator } from './indicator.ts'
import { RateLimit } from './rate-limit.ts'

/** device-protocol.md 3.9 */
const eventsPerBurst = 4
const burst: Millis = 1_000

const goodbyeUser = 2

export interface ServiceOptions {
  readonly hal: Hal
  readonly state: SharedState
  readonly cloud: CloudLink
  readonly indicator: Indicator
  readonly assets: AssetStore
  setTime(unixSeconds: number): void
  reset(data: number): void
  enterSafeMode(): void
  /** Resets are let through again. */
  resetEnabled(): void
  showLed(red: number, green: number, blue: number): void
}

export interface RunningServices extends Services {
  /** Ends what goes on by itself. */
  stop(): void
}

export function createServices(options: ServiceOptions): RunningServices {
  const { hal, state, cloud, indicator } = options
  const limit = new RateLimit(eventsPerBurst, burst)
  let vitalsTimer: Timer | undefined

  const scheduleVitals = (seconds: number) => {
    vitalsTimer?.cancel()
    vitalsTimer = undefined
    if (seconds <= 0) return
    vitalsTimer = hal.setTimer(seconds * 1000, () => {
      cloud.sendVitals().catch(() => false)
      scheduleVitals(seconds)
    })
  }

  const show = (color: Rgb) => options.showLed((color >> 16) & 0xff, (color >> 8) & 0xff, color & 0xff)

  return {
    publish: ({ name, data, contentType, ttl, acknowledge }) => {
      if (!limit.take(hal.now())) {
        cloud.countRateLimited()
        return Promise.resolve(false)
      }
      return cloud.publish({ name, data, contentType, ttl, ...(acknowledge !== undefined && { acknowledge }) })
    },
    connect: () => cloud.connect(),
    disconnect: () => cloud.disconnect({ cloudReason: goodbyeUser }),
    syncTime: () => cloud.syncTime(),
    setKeepAlive: (seconds) => cloud.setKeepAlive(seconds * 1000),
    sendVitals: () => cloud.sendVitals(),
    scheduleVitals,
    stop: () => {
      scheduleVitals(0)
      indicator.listener = undefined
    },
    setUpdatesEnabled: (enabled) => {
      state.set('updatesEnabled', enabled ? 1 : 0)
      cloud.sayUpdatesEnabled()
    },
    setResetEnabled: (enabled) => {
      state.set('resetEnabled', enabled ? 1 : 0)
      if (enabled) options.resetEnabled()
    },
    reset: (data) => options.reset(data),
    enterSafeMode: () => options.enterSafeMode(),
    setTime: (seconds) => options.setTime(seconds),
    assets: {
      list: () => options.assets.list().map(({ name, hash, size = 0 }) => ({ name, hash, size })),
      read: (name) => options.assets.read(name),
    },
    led: {
      control: (on) => indicator.change((led, now) => led.control(on, now)),
      color: (rgb) => indicator.change((led, now) => led.color(rgb, now)),
      brightness: (value) => indicator.change((led) => led.brightness(value)),
      listen: (on) => {
        indicator.listener = on ? (led) => show(colorAt(led, hal.now())) : undefined
      },
      status: (id, status) => indicator.change((led, now) => led.applicationStatus(id, status, now)),
    },
  }
}
