// Prints the commands of an installed particle-cli, a line each: node list-commands.cjs PATH/TO/particle-cli/src/index.js
const { dirname, join } = require('node:path')

const source = dirname(process.argv[2])
const commandProcessor = require(join(source, 'app', 'command-processor.js'))
const root = commandProcessor.createAppCategory({ options: {}, inherited: { options: {} } })
require(join(source, 'cli', 'index.js'))({ commandProcessor, root, app: { addGlobalOptions() {} } })

const found = []
function walk(item, path) {
  for (const [name, child] of Object.entries(item.commands ?? {})) {
    const inner = Object.keys(child.commands ?? {}).length > 0
    if (inner) walk(child, [...path, name])
    if (!inner || child.options?.handler) found.push([...path, name].join(' '))
  }
}
walk(root, [])
console.log(found.sort().join('\n'))
