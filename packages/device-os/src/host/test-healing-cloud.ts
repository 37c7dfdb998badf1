/** For tests: a cloud on a real TCP port that flashes one application and heals the device for it, module by module. */
import { createPublicKey, type KeyObject, randomBytes } from 'node:crypto'
import { createServer, type Server, type Socket } from 'node:net'
import {
  type CatalogueModule,
  type ModuleRef,
  type Platform,
  parseModule,
  planHealing,
  type SystemDescribe,
} from '@aloe/firmware'
import { CloudSession, generateServerKey, serverPublicKeyDer, TcpServerChannel } from '@aloe/protocol'
import { realClock } from '../hal/index.ts'
import { type ReleaseFolder, releaseModules } from '../release/release-folder.ts'

interface Offered extends CatalogueModule {
  readonly bytes: Uint8Array
}

/** What a device is made to run. */
export interface Goal {
  readonly application: Uint8Array
  readonly releases: readonly ReleaseFolder[]
}

export class HealingCloud {
  readonly serverKeyDer: Uint8Array
  readonly #serverKey: KeyObject
  readonly #server: Server
  readonly #platform: Platform
  readonly #connections = new Set<Connection>()
  readonly #catalogue: Offered[]
  readonly #application: Uint8Array
  readonly #reached = new Map<string, () => void>()

  private constructor(platform: Platform, serverKey: KeyObject, goal: Goal) {
    this.#platform = platform
    this.#serverKey = serverKey
    this.serverKeyDer = serverPublicKeyDer(serverKey)
    this.#application = goal.application
    this.#catalogue = goal.releases.flatMap((release) =>
      releaseModules(release).map(({ module, bytes }) => ({
        function: module.function,
        index: module.index,
        version: module.version,
        platformId: platform.id,
        dependencies: parseModule(bytes).dependencies,
        release: release.manifest.version,
        prerelease: release.manifest.prerelease,
        state: release.manifest.state,
        bytes,
      })),
    )
    this.#server = createServer((socket) => {
      const connection = new Connection(socket, this.#serverKey, (id, describe) => this.#described(id, describe))
      this.#connections.add(connection)
      socket.on('close', () => this.#connections.delete(connection))
    })
  }

  static async start(platform: Platform, goal: Goal): Promise<HealingCloud> {
    const cloud = new HealingCloud(platform, await generateServerKey(), goal)
    await new Promise<void>((resolve) => cloud.#server.listen(0, '127.0.0.1', resolve))
    return cloud
  }

  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address ? address.port : 0
  }

  /** Resolves when the device has said that it runs the application in normal mode. */
  reached(deviceId: string): Promise<void> {
    return new Promise((resolve) => this.#reached.set(deviceId, resolve))
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) connection.end()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  /** @returns the file to send */
  #described(deviceId: string, describe: SystemDescribe): Uint8Array | undefined {
    const next = this.#next(describe)
    if (!next) this.#reached.get(deviceId)?.()
    return next
  }

  #next(describe: SystemDescribe): Uint8Array | undefined {
    const user = describe.modules.find((module) => module.function === 'user_part')
    if (user?.hash !== parseModule(this.#application).sha256) return this.#application
    const plan = planHealing(this.#platform, describe, this.#catalogue)
    if (!plan.ok) throw new Error(plan.reason)
    const [step] = plan.steps
    const same = (a: ModuleRef, b: ModuleRef) => a.function === b.function && a.index === b.index
    return step && this.#catalogue.find((module) => same(module, step) && module.version === step.version)?.bytes
  }
}

/** One connection of a device: lets it in with whatever key it shows, and sends what its describes ask for. */
class Connection {
  readonly #socket: Socket
  readonly #channel: TcpServerChannel
  readonly #session: CloudSession
  readonly #described: (deviceId: string, describe: SystemDescribe) => Uint8Array | undefined
  #deviceId = ''
  #timer: NodeJS.Timeout | undefined

  constructor(
    socket: Socket,
    serverKey: KeyObject,
    described: (deviceId: string, describe: SystemDescribe) => Uint8Array | undefined,
  ) {
    this.#socket = socket
    this.#described = described
    const random = (size: number) => randomBytes(size)
    const now = () => realClock.now()
    this.#session = new CloudSession({
      transport: 'tcp',
      random,
      unixTime: () => Math.floor(Date.now() / 1000),
      firstMessageId: 1,
      now: now(),
      handlers: {
        send: (message) => this.#channel.send(message),
        hello: () => {},
        describe: (describe) => describe.kind === 'system' && this.#system(describe.describe),
        event: () => {},
        closed: () => this.end(),
      },
    })
    this.#channel = new TcpServerChannel({
      serverKey,
      random,
      handlers: {
        write: (bytes) => socket.write(bytes),
        identify: ({ publicKey }) => {
          const der = { key: Buffer.from(publicKey ?? []), format: 'der', type: 'spki' } as const
          this.#channel.accept(createPublicKey(der), now())
        },
        established: ({ deviceId }) => {
          this.#deviceId = deviceId
        },
        message: (message) => this.#session.receive(message, now()),
        failed: () => this.end(),
      },
    })
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('close', () => this.end())
    socket.on('data', (bytes) => {
      this.#channel.receive(bytes, now())
      this.#poll()
    })
    this.#channel.start(now())
    this.#poll()
  }

  end(): void {
    clearTimeout(this.#timer)
    this.#session.close()
    this.#channel.close()
    this.#socket.destroy()
  }

  #system(describe: SystemDescribe): void {
    const file = this.#described(this.#deviceId, describe)
    if (file) this.#session.startUpdate(file, {}, realClock.now(), { done: () => {} })
  }

  #poll(): void {
    clearTimeout(this.#timer)
    if (this.#socket.destroyed) return
    const now = realClock.now()
    this.#channel.poll(now)
    this.#session.poll(now)
    const deadlines = [this.#channel.nextDeadline(), this.#session.nextDeadline()].filter((at) => at !== undefined)
    if (deadlines.length === 0) return
    this.#timer = setTimeout(() => this.#poll(), Math.max(1, Math.min(...deadlines) - now))
  }
}
