import { createPublicKey } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { CliError, exitCode, messageOf } from '../cli-error.ts'
import { connectCloud } from '../cloud-client.ts'
import { type CommonOptions, cloudOption, makeCommand, makeGroup, outputOf } from '../command.ts'
import { layouts, serverKeyBlob } from '../server-key-blob.ts'
import { readWellKnown, type Transport } from '../well-known.ts'

interface ServerOptions extends CommonOptions {
  readonly protocol: Transport
  readonly output: string
  readonly host?: string
  readonly port?: number
  readonly key?: string
}

export function keysCommand(): Command {
  return makeGroup('keys', 'server keys for real boards', [serverCommand()])
}

function serverCommand(): Command {
  return makeCommand({
    usage: 'server',
    summary: "write the cloud's key and address as a board wants them",
    description:
      "Writes the file that makes a board connect to this cloud: the cloud's public key, address and port, laid out as the board keeps them. TCP boards are Photon and P1; UDP boards are Electron, Argon, Boron and newer.",
    examples: [
      { line: 'aloe keys server --protocol tcp --host 192.168.1.10', what: 'ask the cloud for its key and port' },
      { line: 'aloe keys server --protocol udp --host cloud.example.com', what: 'for a UDP board' },
      {
        line: 'aloe keys server --protocol tcp --key server.pub.pem --host 10.0.0.2 --port 5683',
        what: 'without a running cloud',
      },
    ],
  })
    .addOption(cloudOption())
    .addOption(
      new Option('--protocol <transport>', 'what the board speaks').choices(['tcp', 'udp']).makeOptionMandatory(),
    )
    .option('--host <host>', 'IPv4 address or name at which the board reaches the cloud (default: as the cloud says)')
    .option('--port <port>', 'port at that address (default: as the cloud says)', portNumber)
    .option('--key <file>', 'public key of the cloud, PEM or DER (default: ask the cloud)')
    .option('-o, --output <file>', 'file to write', 'server-key.bin')
    .action(writeServerKey)
}

async function writeServerKey(options: ServerOptions): Promise<void> {
  const { protocol, output: file } = options
  const known = options.key === undefined || options.host === undefined || options.port === undefined
  const description = known ? await readWellKnown((await connectCloud(options)).url) : undefined
  const endpoint = description?.[protocol]
  const key = options.key === undefined ? description?.keys[protocol] : await readKey(options.key)
  const host = options.host ?? endpoint?.host
  const port = options.port ?? endpoint?.port
  if (key === undefined || host === undefined || port === undefined) {
    throw new CliError(`This cloud does not serve devices over ${protocol.toUpperCase()}.`, {
      hint: 'Name --key, --host and --port yourself to write the file anyway.',
    })
  }
  const blob = serverKeyBlob(protocol, key, host, port)
  await writeFile(file, blob)
  const output = outputOf(options)
  if (/^(localhost$|127\.)/.test(host)) {
    output.note(output.colors.yellow(`${host} is this machine itself: a board cannot reach it. Name one with --host.`))
  }
  const { dctOffset } = layouts[protocol]
  output.result({ ok: true, file, protocol, host, port, size: blob.length, dctOffset }, (colors) =>
    [
      `${colors.green('✔')} wrote ${colors.bold(file)}: ${protocol.toUpperCase()} server key with address ${host}:${port}, ${blob.length} bytes`,
      '',
      'Put the board into DFU mode (blinking yellow) and write the file:',
      `  $ dfu-util -a 1 -s ${dctOffset}:leave -D ${file}`,
      'or, with the official command line tools, write key and address in one step:',
      `  $ particle keys server <key.der> --host ${host} --port ${port} --protocol ${protocol}`,
      "Then tell the cloud the board's own key: particle keys send <device id> <key.pem>",
    ].join('\n'),
  )
}

/** A key file as SPKI DER. */
async function readKey(path: string): Promise<Uint8Array> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw new CliError(`The key ${path} cannot be read: ${messageOf(error)}`, { code: exitCode.usage })
  })
  try {
    const pem = bytes.subarray(0, 5).toString('latin1') === '-----'
    const key = pem ? createPublicKey(bytes) : createPublicKey({ key: bytes, format: 'der', type: 'spki' })
    return new Uint8Array(key.export({ type: 'spki', format: 'der' }))
  } catch (error) {
    throw new CliError(`${path} is not a public key: ${messageOf(error)}`, {
      code: exitCode.usage,
      hint: "The cloud keeps its public keys in the data folder's keys/, as PEM and DER.",
    })
  }
}

function portNumber(text: string): number {
  const port = Number(text)
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new InvalidArgumentError('A port is a number from 1 to 65535.')
  return port
}
