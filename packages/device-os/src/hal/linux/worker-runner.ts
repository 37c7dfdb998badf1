/** Runs an application in a thread of its own: a loop that never returns costs the system nothing. */
import { Worker } from 'node:worker_threads'
import type { ApplicationMessage, RunApplication } from '../application.ts'

/**
 * What runs in the thread. It evaluates the same system part 2 that runs the system and lets it start the
 * application; text, because the code that runs on a device is the code inside its modules.
 */
const threadSource = `
const { workerData, parentPort, receiveMessageOnPort } = require('node:worker_threads')
const { compileFunction } = require('node:vm')
const module2 = { exports: {} }
compileFunction(workerData.systemPart2, ['exports', 'module', 'require'], { filename: 'system-part2' })(module2.exports, module2, require)
let handler = () => {}
const taken = new Int32Array(workerData.taken)
let posted = 0
// An application that says more than the system can hear waits: it must not fill the system's memory.
const wait = () => {
  for (let seen = Atomics.load(taken, 0); ((posted - seen) | 0) > workerData.maxWaiting; seen = Atomics.load(taken, 0)) {
    Atomics.wait(taken, 0, seen)
  }
}
parentPort.on('message', (message) => handler(message))
module2.exports.startApplication({
  post: (message) => { posted = (posted + 1) | 0; wait(); parentPort.postMessage(message) },
  onMessage: (fn) => { handler = fn },
  drain: () => { for (let m = receiveMessageOnPort(parentPort); m; m = receiveMessageOnPort(parentPort)) handler(m.message) },
  now: () => Number(process.hrtime.bigint() / 1000n) / 1000,
  setTimer: (delay, fn) => { const timer = setTimeout(fn, delay); return { cancel: () => clearTimeout(timer) } },
  shared: workerData.shared,
  pins: workerData.pins,
  loopInterval: 1,
}, workerData.userBody)
`

/** Messages of the application that may wait for the system. */
const maxWaiting = 256

/** Heap of an application, MB; beyond it the thread dies and the device panics. */
const maxHeapMb = 128

/** @param systemPart2 source text of the installed system part 2 */
export function workerRunner(systemPart2: string): RunApplication {
  return ({ userBody, shared, pins }, { message, exited }) => {
    const taken = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
    const worker = new Worker(threadSource, {
      eval: true,
      workerData: { systemPart2, userBody, shared, pins, taken: taken.buffer, maxWaiting },
      execArgv: [],
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: maxHeapMb },
    })
    let ended = false
    let failure: Error | undefined
    worker.on('message', (value: ApplicationMessage) => {
      Atomics.add(taken, 0, 1)
      Atomics.notify(taken, 0)
      if (!ended) message(value)
    })
    worker.on('error', (error: Error) => {
      failure = error
    })
    worker.on('exit', (code) => {
      if (!ended) exited(failure ?? new Error(`the application's thread ended with code ${code}`))
      ended = true
    })
    return {
      post: (value) => worker.postMessage(value),
      terminate: async () => {
        ended = true
        await worker.terminate()
      },
    }
  }
}
