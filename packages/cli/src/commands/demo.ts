import type { Command } from 'commander'
import { type CommonOptions, makeCommand, outputOf } from '../command.ts'
import type { Output } from '../output.ts'

export function demoCommand(): Command {
  return makeCommand({
    usage: 'demo',
    summary: 'see a device heal itself, in half a minute',
    description:
      'Starts a cloud and a device of its own, flashes an application that needs a newer Device OS, and shows how the cloud heals the device until the application runs. It leaves nothing behind and works beside a running cloud.',
    examples: [{ line: 'aloe demo', what: 'watch it' }],
  }).action(async (options: CommonOptions) => {
    const { runDemo }: { runDemo: (output: Output) => Promise<void> } = await import('../demo/demo.ts')
    await runDemo(outputOf(options))
  })
}
