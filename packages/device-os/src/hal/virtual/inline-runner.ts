/** Runs an application in the same thread as the system, for fleets: hundreds of devices in one process. */
import type { ApplicationMessage, RunApplication, StartApplication } from '../application.ts'
import type { Clock } from '../clock.ts'
import type { Timer } from '../time.ts'

/** A turn of `loop()` every 10 ms is enough for tests and leaves the processor to the other devices. */
const defaultLoopInterval = 10

/**
 * @param startApplication of the installed system part 2
 * @param loopInterval pause between two turns of `loop()`, in ms
 */
export function inlineRunner(
  startApplication: StartApplication,
  clock: Clock,
  loopInterval = defaultLoopInterval,
): RunApplication {
  return ({ userBody, shared, pins }, { message, exited }) => {
    let alive = true
    let handler: (message: ApplicationMessage) => void = () => {}
    const waiting: ApplicationMessage[] = []
    const timers = new Set<Timer>()

    const drain = () => {
      for (let next = waiting.shift(); next !== undefined && alive; next = waiting.shift()) handler(next)
    }

    const start = () => {
      if (!alive) return
      try {
        startApplication(
          {
            post: (value) => queueMicrotask(() => alive && message(value)),
            onMessage: (fn) => {
              handler = fn
            },
            drain,
            now: () => clock.now(),
            setTimer: (delay, fn) => {
              const timer = clock.setTimer(delay, () => {
                timers.delete(timer)
                if (alive) fn()
              })
              timers.add(timer)
              return {
                cancel: () => {
                  timers.delete(timer)
                  timer.cancel()
                },
              }
            },
            shared,
            pins,
            loopInterval,
          },
          userBody,
        )
      } catch (error) {
        exited(error instanceof Error ? error : new Error(String(error)))
      }
    }
    queueMicrotask(start)

    return {
      post: (value) => {
        waiting.push(value)
        queueMicrotask(drain)
      },
      terminate: async () => {
        alive = false
        for (const timer of timers) timer.cancel()
        timers.clear()
      },
    }
  }
}
