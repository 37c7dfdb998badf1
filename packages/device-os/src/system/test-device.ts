/** For tests: a virtual device with a system straight from the sources, and a cloud for it. */
import type { KeyObject } from 'node:crypto'
import { devicePrivateKeyDer, generateDeviceKey, generateServerKey, serverPublicKeyDer } from '@aloe/protocol'
import { type BootDecision, decide } from '../boot/decision.ts'
import type { DeviceConfig } from '../flash/device-config.ts'
import { Flash } from '../flash/flash.ts'
import type { ResetReason } from '../flash/reset-reason.ts'
import type { RunApplication } from '../hal/application.ts'
import type { Clock } from '../hal/clock.ts'
import type { LogRecord, TcpHandlers, TcpSocket, UdpHandlers, UdpSocket } from '../hal/hal.ts'
import type { LedState } from '../hal/led-state.ts'
import { inlineRunner } from '../hal/virtual/inline-runner.ts'
import { VirtualClock } from '../hal/virtual/virtual-clock.ts'
import { VirtualHal } from '../hal/virtual/virtual-hal.ts'
import { VirtualNetwork } from '../hal/virtual/virtual-network.ts'
import { MemoryStorage } from '../storage/memory-storage.ts'
import { needsSystemPart, testModule, testPlatform, testRelease } from '../test-modules.ts'
import { loadApiModule } from '../wiring/api-module.ts'
import type { Communication } from './communication.ts'
import { communication } from './part1.ts'
import { systemPart2 } from './start.ts'
import type { RunningSystem } from './system-input.ts'
import { TestCloudConnection } from './test-cloud.ts'

export const testPort = 5683
export const testDeviceId = '422b00000000000000000001'

export interface TestKeys {
  readonly server: KeyObject
  readonly device: KeyObject
}

export async function testKeys(): Promise<TestKeys> {
  const [server, device] = await Promise.all([generateServerKey(), generateDeviceKey()])
  return { server, device }
}

export interface TestFlashOptions {
  readonly keys: TestKeys
  /** Source of the application; without it none is installed. */
  readonly application?: string
  /** System version that the application needs. */
  readonly needs?: number
  readonly config?: Partial<DeviceConfig>
  readonly port?: number
}

/** A flash with Device OS 1.0.0 and the application. */
export function flashWith(options: TestFlashOptions): Flash {
  const { keys, application, needs = 1000, config = {}, port = testPort } = options
  const flash = new Flash(new MemoryStorage(), testPlatform)
  for (const module of testRelease(1000, 100)) flash.install(module)
  if (application !== undefined) {
    flash.install(testModule('user_part', 1, 1, needsSystemPart(2, needs), { body: application }))
  }
  flash.initialize({
    deviceId: testDeviceId,
    deviceKey: devicePrivateKeyDer(keys.device),
    serverKey: serverPublicKeyDer(keys.server),
    serverAddress: { type: 'ipv4', address: '127.0.0.1', port },
    startupMode: 'normal',
    flags: {},
    ...config,
  })
  return flash
}

/** What a bootloader would decide. */
export function decisionOf(flash: Flash, overrides: Partial<BootDecision> = {}): BootDecision {
  const found = decide(flash, flash.config.startupMode === 'safe')
  if (found.mode === 'dfu') throw new Error(`not bootable: ${found.why}`)
  return {
    ...found,
    mode: found.mode,
    resetReason: 'power_down',
    resetData: 0,
    applied: [],
    powerOn: true,
    ...overrides,
  }
}

export interface TestDeviceOptions extends TestFlashOptions {
  readonly flash?: Flash
  readonly decision?: Partial<BootDecision>
  /** Device OS version whose API the application gets. */
  readonly version?: string
  readonly clock?: Clock
  readonly connectTcp?: (host: string, port: number, handlers: TcpHandlers) => TcpSocket
  readonly connectUdp?: (host: string, port: number, handlers: UdpHandlers) => UdpSocket
  readonly runApplication?: RunApplication
  /** Instead of the exports of system part 1 from these sources. */
  readonly communication?: Communication
  readonly unixTime?: number
  /** How many log records are kept. */
  readonly keepLogs?: number
}

export interface TestDevice {
  readonly flash: Flash
  readonly hal: VirtualHal
  readonly system: RunningSystem
  readonly leds: LedState[]
  readonly logs: LogRecord[]
  readonly resets: { readonly reason: ResetReason; readonly data: number }[]
}

/** Starts the system of a device as a host does. */
export async function startDevice(options: TestDeviceOptions): Promise<TestDevice> {
  const clock = options.clock ?? new VirtualClock()
  const api = await loadApiModule(options.version ?? '1.0.0')
  const { startSystem, startApplication } = systemPart2(api)
  const flash = options.flash ?? flashWith(options)
  const leds: LedState[] = []
  const logs: LogRecord[] = []
  const resets: TestDevice['resets'] = []
  const hal = new VirtualHal({
    clock,
    connectTcp: options.connectTcp ?? ((_host, port, handlers) => new VirtualNetwork().connect(port, handlers)),
    ...(options.connectUdp && { connectUdp: options.connectUdp }),
    onLed: (state) => leds.push(state),
    onLog: (record) => {
      if (logs.length < (options.keepLogs ?? 10_000)) logs.push(record)
    },
    ...(options.unixTime !== undefined && { unixTime: options.unixTime }),
  })
  const system = startSystem({
    hal,
    flash,
    decision: decisionOf(flash, options.decision),
    communication: options.communication ?? communication,
    runApplication: options.runApplication ?? inlineRunner(startApplication, clock),
    reset: (reason, data = 0) => resets.push({ reason, data }),
  })
  return { flash, hal, system, leds, logs, resets }
}

export interface World {
  readonly clock: VirtualClock
  readonly network: VirtualNetwork
  readonly keys: TestKeys
  /** Every connection that the cloud saw, oldest first. */
  readonly connections: TestCloudConnection[]
  /** Starts to listen; returns what stops it. */
  listen(): () => void
  device(options?: Omit<TestDeviceOptions, 'keys' | 'clock' | 'connectTcp'>): Promise<TestDevice>
  /** Lets time pass until the newest connection has said Hello and the given span more. */
  connected(more?: number): Promise<TestCloudConnection>
}

/** A virtual world: one clock, one network, one cloud. @param latency of the network, ms */
export function world(keys: TestKeys, latency?: number): World {
  const clock = new VirtualClock(1_000)
  const network = new VirtualNetwork(latency === undefined ? undefined : { clock, latency })
  const connections: TestCloudConnection[] = []
  const listen = () =>
    network.listen(testPort, (socket) => {
      const connection = new TestCloudConnection(socket, { serverKey: keys.server, clock })
      connections.push(connection)
      return { data: (bytes) => connection.data(bytes), closed: () => connection.ended() }
    })
  return {
    clock,
    network,
    keys,
    connections,
    listen,
    device: (options = {}) =>
      startDevice({
        ...options,
        keys,
        clock,
        connectTcp: (_host, port, handlers) => network.connect(port, handlers),
      }),
    connected: async (more = 500) => {
      const ok = await clock.advanceUntil(
        () => connections.at(-1)?.open === true && connections.at(-1)?.last('system') !== undefined,
        200_000,
      )
      const connection = connections.at(-1)
      if (!ok || connection === undefined) throw new Error('the device did not connect')
      await clock.advance(more)
      return connection
    },
  }
}
