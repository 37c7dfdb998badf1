#!/usr/bin/env node
// Starts the aloe command with the Node.js that this project pins.
//
// The command itself is TypeScript that Node 24 runs directly. This file is plain JavaScript that older versions
// (from 12.20) understand too: it finds the pinned Node among the installed packages and runs the command with it, or
// says what is missing.

import { spawn } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const needed = 24
const main = join(dirname(fileURLToPath(import.meta.url)), '..', 'packages', 'cli', 'src', 'main.ts')
const pinned = pinnedNode()

if (pinned !== undefined && realpathSync(pinned) !== realpathSync(process.execPath)) {
  runWith(pinned)
} else if (Number(process.versions.node.split('.')[0]) >= needed) {
  import(new URL('../packages/cli/src/main.ts', import.meta.url).href).catch(fail)
} else {
  fail(
    new Error(
      `aloe needs Node.js ${needed} or newer; this is ${process.version}, and there is no pinned Node.js for ` +
        `${process.platform}-${process.arch} among the installed packages.\n` +
        `Run \`npm ci\` without --omit=optional, or install Node.js ${needed}: https://nodejs.org`,
    ),
  )
}

/** The Node.js that package.json pins for this platform; undefined when it is not installed. */
function pinnedNode() {
  const system = process.platform === 'win32' ? 'win' : process.platform
  const file = process.platform === 'win32' ? 'node.exe' : 'node'
  try {
    const manifest = createRequire(import.meta.url).resolve(`node-${system}-${process.arch}/package.json`)
    const path = join(dirname(manifest), 'bin', file)
    return existsSync(path) ? path : undefined
  } catch (_error) {
    // No such package for this platform, or it was left out of the installation.
    return undefined
  }
}

/** Runs the command in a child that lives and ends with this process. */
function runWith(node) {
  const child = spawn(node, [main].concat(process.argv.slice(2)), {
    // The channel tells the child when this process is gone, even by SIGKILL (packages/cli/src/wrapper.ts).
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    // One arena: glibc gives each thread its own, and what one frees in another's stays resident (docs/benchmarks.md).
    env: Object.assign({ MALLOC_ARENA_MAX: '1' }, process.env, { ALOE_WRAPPED: '1' }),
  })
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']
  const handlers = signals.map((signal) => {
    const handler = () => {
      // A terminal sends Ctrl+C to both processes itself.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
    }
    process.on(signal, handler)
    return handler
  })
  child.once('error', fail)
  child.once('exit', (code, signal) => {
    for (let i = 0; i < signals.length; i++) process.removeListener(signals[i], handlers[i])
    if (signal === null) process.exit(code)
    // End as the child did, so that a shell sees the signal too.
    process.kill(process.pid, signal)
    setTimeout(() => process.exit(128 + (constants.signals[signal] || 0)), 1000)
  })
}

function fail(error) {
  console.error(`aloe: ${error.message}`)
  process.exit(1)
}
