/** `Log` and `Logger`. */
import { format } from 'node:util'
import type { Member, Runtime } from './runtime.ts'

type Level = 'trace' | 'info' | 'warn' | 'error'

const logTo =
  (runtime: Runtime, category: string, level: Level) =>
  (message: unknown, ...values: unknown[]) =>
    runtime.send({ kind: 'log', level, category, message: format(message, ...values) })

const application = 'app'

export const trace: Member = (runtime) => logTo(runtime, application, 'trace')
export const info: Member = (runtime) => logTo(runtime, application, 'info')
export const warn: Member = (runtime) => logTo(runtime, application, 'warn')
export const error: Member = (runtime) => logTo(runtime, application, 'error')

export const loggerClass: Member = (runtime) =>
  class Logger {
    readonly #category: string

    constructor(category: string = application) {
      this.#category = category
    }

    trace(message: unknown, ...values: unknown[]): void {
      logTo(runtime, this.#category, 'trace')(message, ...values)
    }

    info(message: unknown, ...values: unknown[]): void {
      logTo(runtime, this.#category, 'info')(message, ...values)
    }

    warn(message: unknown, ...values: unknown[]): void {
      logTo(runtime, this.#category, 'warn')(message, ...values)
    }

    error(message: unknown, ...values: unknown[]): void {
      logTo(runtime, this.#category, 'error')(message, ...values)
    }
  }
