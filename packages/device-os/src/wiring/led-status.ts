/** `LEDStatus`: the application shows something beside the system's own signals, by priority. */
import type { Member } from './runtime.ts'
import type { ApplicationLedStatus } from './services.ts'

type Pattern = ApplicationLedStatus['pattern']
type Speed = ApplicationLedStatus['speed']
type Priority = ApplicationLedStatus['priority']

let lastId = 0

export const ledStatusClass: Member = (runtime) =>
  class LEDStatus {
    readonly #id: string
    #status: ApplicationLedStatus

    constructor(
      color = 0xffffff,
      pattern: Pattern = 'solid',
      speedOrPeriod: Speed | number = 'normal',
      priority: Priority = 'normal',
    ) {
      lastId += 1
      this.#id = `status ${lastId}`
      const timed = typeof speedOrPeriod === 'number'
      this.#status = {
        active: false,
        color,
        pattern,
        period: timed ? speedOrPeriod : 0,
        speed: timed ? 'normal' : speedOrPeriod,
        priority,
      }
    }

    #change(change: Partial<ApplicationLedStatus>): void {
      const shown = this.#status.active
      this.#status = { ...this.#status, ...change }
      if (shown || this.#status.active) runtime.tell('ledStatus', this.#id, this.#status)
    }

    setActive(active = true): void {
      this.#change({ active })
    }

    isActive(): boolean {
      return this.#status.active
    }

    setColor(color: number): void {
      this.#change({ color })
    }

    color(): number {
      return this.#status.color
    }

    setPattern(pattern: Pattern): void {
      this.#change({ pattern })
    }

    pattern(): Pattern {
      return this.#status.pattern
    }

    setSpeed(speed: Speed): void {
      this.#change({ speed, period: 0 })
    }

    setPeriod(period: number): void {
      this.#change({ period })
    }

    setPriority(priority: Priority): void {
      this.#change({ priority })
    }

    priority(): Priority {
      return this.#status.priority
    }
  }
