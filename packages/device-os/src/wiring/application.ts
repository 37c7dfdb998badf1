/**
 * Runs an application: gives it the API, calls `setup()` once and `loop()` again and again.
 *
 * Both may be async. Whatever the application throws is a panic, as a fault is on a board.
 */
import { compileFunction } from 'node:vm'
import type { ApplicationMessage, ApplicationPort } from '../hal/application.ts'
import { type ApiModule, composeApi } from './compose.ts'
import type { ToApplication, ToSystem } from './messages.ts'
import { ApplicationEnded, Runtime } from './runtime.ts'

interface Application {
  readonly setup?: () => unknown
  readonly loop?: () => unknown
}

/** The body evaluated once for all devices of a process that run the same application, as far as it is code. */
const compiled = new Map<string, ReturnType<typeof compileFunction>>()
const maxCompiled = 64

function compile(userBody: string): ReturnType<typeof compileFunction> {
  const known = compiled.get(userBody)
  if (known !== undefined) return known
  const fn = compileFunction(userBody, ['exports', 'module', 'require'], { filename: 'application.js' })
  if (compiled.size >= maxCompiled) compiled.clear()
  compiled.set(userBody, fn)
  return fn
}

function load(userBody: string, api: object): Application {
  const module = { exports: {} as Application }
  const requireDeviceOs = (name: string): object => {
    if (name === 'device-os') return api
    throw new Error(`an application can only import 'device-os', not '${name}'`)
  }
  compile(userBody)(module.exports, module, requireDeviceOs)
  return module.exports
}

const report = (error: unknown): Extract<ToSystem, { kind: 'panic' }> => {
  const { message, stack } = error instanceof Error ? error : new Error(String(error))
  return { kind: 'panic', error: { message, ...(stack !== undefined && { stack }) } }
}

/** The application's side of system part 2: waits for the system's `init`, then runs the application for good. */
export function startApplication(apiModule: ApiModule, port: ApplicationPort, userBody: string): void {
  let ended = false
  let runtime: Runtime | undefined

  const panic = (error: unknown) => {
    if (ended) return
    ended = true
    if (!(error instanceof ApplicationEnded)) port.post(report(error))
  }

  const run = async (started: Runtime) => {
    const application = load(userBody, composeApi(apiModule, started))
    started.send({ kind: 'setup', done: false })
    await application.setup?.()
    started.pushVariables(0)
    started.send({ kind: 'setup', done: true })
    if (application.loop === undefined) return
    while (!ended) {
      await application.loop()
      started.pushVariables()
      await started.wait(port.loopInterval)
    }
  }

  port.onMessage((message: ApplicationMessage) => {
    const received = message as ToApplication
    if (ended) return
    if (runtime !== undefined) runtime.receive(received)
    else if (received.kind === 'init') {
      runtime = new Runtime(port, apiModule.release, received, panic)
      run(runtime).catch(panic)
    }
  })
}
