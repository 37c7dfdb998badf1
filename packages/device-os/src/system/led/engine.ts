/**
 * Who is shown on the status LED: signals of the system, statuses of the application, moments, the update, the
 * application's own control, a panic.
 *
 * Pure: told what happens and when, it answers what is to be shown; `colorAt` draws it.
 */
import type { LedPattern, LedState, LedStep, Rgb } from '../../hal/led-state.ts'
import type { Millis } from '../../hal/time.ts'
import { type CloudFailureKind, durationOf, failureSteps, panicSteps, rainbowSteps } from './indications.ts'
import {
  colors,
  inWords,
  type LedPriority,
  type LedSignalName,
  type LedSpeed,
  ledSignals,
  periodOf,
  rankOf,
} from './signals.ts'

export interface ApplicationStatus {
  readonly active: boolean
  readonly color: Rgb
  readonly pattern: 'solid' | 'blink' | 'fade'
  /** 0: the speed's own. */
  readonly period: Millis
  readonly speed: LedSpeed
  readonly priority: LedPriority
}

interface Shown {
  readonly rank: number
  /** Counts up with every activation: among equals the most recent is shown. */
  readonly order: number
  readonly since: Millis
  /** Ends by itself. */
  readonly until?: Millis
  readonly signal: string
  readonly color: Rgb
  readonly pattern: LedPattern
  readonly period: Millis
  readonly steps?: readonly LedStep[]
  readonly repeat?: boolean
  readonly words: string
}

const fullBrightness = 255

export class LedEngine {
  readonly #shown = new Map<string, Shown>()
  #order = 0
  #brightness = fullBrightness
  #control: { color: Rgb; since: Millis } | undefined
  #color: Rgb = 0
  #update: { lit: boolean; since: Millis } | undefined
  #panic: Shown | undefined

  #show(key: string, entry: Omit<Shown, 'order'>): void {
    this.#order += 1
    this.#shown.set(key, { ...entry, order: this.#order })
  }

  /** Switches a signal of the system on or off; one that is on already stays as it is. */
  signal(name: LedSignalName, on: boolean, now: Millis): void {
    const key = `signal ${name}`
    if (!on) this.#shown.delete(key)
    if (!on || this.#shown.has(key)) return
    const { color, pattern, speed, priority } = ledSignals[name]
    const period = periodOf(pattern, speed)
    const words = inWords(color, pattern, period)
    this.#show(key, { rank: rankOf(priority, 'system'), since: now, signal: name, color, pattern, period, words })
  }

  /** A status of the application, by the id it gave it; undefined removes it. */
  applicationStatus(id: string, status: ApplicationStatus | undefined, now: Millis): void {
    const key = `application ${id}`
    if (status === undefined || !status.active) {
      this.#shown.delete(key)
      return
    }
    const { color, pattern, speed, priority } = status
    const period = status.period > 0 && pattern !== 'solid' ? status.period : periodOf(pattern, speed)
    const entry = { color, pattern, period, words: inWords(color, pattern, period) }
    const before = this.#shown.get(key)
    const rank = rankOf(priority, 'application')
    // A change of the look is not a new activation.
    if (before !== undefined) this.#shown.set(key, { ...before, ...entry, rank })
    else this.#show(key, { ...entry, rank, since: now, signal: 'application' })
  }

  /** A failed attempt to connect: a blink in the colour of its kind. */
  failure(kind: CloudFailureKind, now: Millis): void {
    const steps = failureSteps(kind)
    this.#sequence('failure', steps, `${kind} failure`, now, false)
  }

  /** The rainbow, until it is switched off. */
  rainbow(on: boolean, now: Millis): void {
    if (on) this.#sequence('rainbow', rainbowSteps, 'rainbow', now, true)
    else this.#shown.delete('rainbow')
  }

  #sequence(key: string, steps: readonly LedStep[], words: string, now: Millis, repeat: boolean): void {
    const color = steps[0]?.color ?? 0
    this.#show(key, {
      rank: rankOf('important', 'system'),
      since: now,
      signal: key,
      color,
      pattern: 'sequence',
      period: durationOf(steps),
      steps,
      repeat,
      words,
      ...(!repeat && { until: now + durationOf(steps) }),
    })
  }

  /** Forgets everything that the application shows. */
  clearApplication(): void {
    for (const key of [...this.#shown.keys()]) if (key.startsWith('application ')) this.#shown.delete(key)
    this.#control = undefined
  }

  /** `RGB.control`. */
  control(on: boolean, now: Millis): void {
    this.#control = on ? { color: this.#color, since: now } : undefined
  }

  get controlled(): boolean {
    return this.#control !== undefined
  }

  /** `RGB.color`: shown while the application has control. */
  color(rgb: Rgb, now: Millis): void {
    this.#color = rgb
    if (this.#control !== undefined) this.#control = { color: rgb, since: now }
  }

  /** 0 … 255 */
  brightness(value: number): void {
    this.#brightness = value
  }

  /** An update begins or ends. It takes the LED, unless the application has it. */
  updating(on: boolean, now: Millis): void {
    this.#update = on ? { lit: true, since: now } : undefined
  }

  /** A chunk of the update has come: the LED toggles. */
  updateProgress(now: Millis): void {
    if (this.#update !== undefined) this.#update = { lit: !this.#update.lit, since: now }
  }

  /** SOS and the code, above everything. @returns how long it takes */
  panic(code: number, now: Millis): Millis {
    const steps = panicSteps(code)
    this.#panic = {
      rank: 0,
      order: 0,
      since: now,
      signal: 'panic',
      color: colors.red,
      pattern: 'sequence',
      period: durationOf(steps),
      steps,
      repeat: true,
      words: 'red SOS',
    }
    return durationOf(steps)
  }

  /** What is shown at `now`. The same object content for the same situation, so that changes can be told. */
  state(now: Millis): LedState {
    if (this.#panic !== undefined) return this.#toState(this.#panic)
    if (this.#control !== undefined) {
      const { color, since } = this.#control
      return this.#solid('application', color, since, inWords(color, 'solid', 0))
    }
    if (this.#update !== undefined) {
      const { color } = ledSignals.firmware_update
      const { lit, since } = this.#update
      return this.#solid('firmware_update', lit ? color : 0, since, 'blinking magenta')
    }
    const top = this.#top(now)
    return top === undefined ? this.#solid('off', 0, 0, 'off') : this.#toState(top)
  }

  /** When what is shown changes by itself. */
  nextChange(now: Millis): Millis | undefined {
    let next: Millis | undefined
    for (const { until } of this.#shown.values()) {
      if (until !== undefined && until > now && (next === undefined || until < next)) next = until
    }
    return next
  }

  #top(now: Millis): Shown | undefined {
    let top: Shown | undefined
    for (const [key, entry] of this.#shown) {
      if (entry.until !== undefined && entry.until <= now) {
        this.#shown.delete(key)
        continue
      }
      if (top === undefined || entry.rank > top.rank || (entry.rank === top.rank && entry.order > top.order))
        top = entry
    }
    return top
  }

  #solid(signal: string, color: Rgb, since: Millis, words: string): LedState {
    return { signal, color, pattern: 'solid', period: 0, since, brightness: this.#brightness, words }
  }

  #toState({ signal, color, pattern, period, since, steps, repeat, words }: Shown): LedState {
    return {
      signal,
      color,
      pattern,
      period,
      since,
      brightness: this.#brightness,
      words,
      ...(steps !== undefined && { steps, repeat: repeat ?? false }),
    }
  }
}

/** Whether two states look the same at every moment. */
export function sameLed(a: LedState | undefined, b: LedState): boolean {
  return (
    a !== undefined &&
    a.signal === b.signal &&
    a.color === b.color &&
    a.pattern === b.pattern &&
    a.period === b.period &&
    a.since === b.since &&
    a.brightness === b.brightness &&
    a.words === b.words
  )
}
