/**
 * The part of the cloud that devices meet: store, registry, gateway, events and updates, without API, compiler and
 * users. Its clock, chance, ports and store come from outside, so that it runs in simulated time, and can be killed in
 * the middle of whatever it does (docs/simulator.md).
 */
import type { KeyObject } from 'node:crypto'
import { type Logger, pino } from 'pino'
import { type Bus, createLocalBus } from '../bus/bus.ts'
import type { Clock } from '../clock.ts'
import { DeviceRegistry } from '../devices/registry.ts'
import { createGateway } from '../gateway/device-gateway.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { GatewayLimits } from '../gateway/limits.ts'
import type { DevicePorts } from '../gateway/ports.ts'
import { SessionStore } from '../gateway/session-store.ts'
import type { Store } from '../store/store.ts'
import { startUpdates, type Updates, type UpdatesOptions } from '../updates/updates.ts'
import type { CoreStore } from './core-store.ts'
import { mortalClock, mortalPorts } from './mortal.ts'
import { type CoreModule, catalogueOf } from './releases.ts'

export interface CloudCoreOptions {
  /** Kept from one cloud to the next. */
  readonly store: CoreStore
  /** Unix milliseconds and timers. */
  readonly clock: Clock
  /** Bytes for keys, nonces and ids. */
  readonly random: (size: number) => Uint8Array
  readonly ports: DevicePorts
  /** RSA-2048 for TCP, P-256 for UDP, private. */
  readonly serverKeys: { readonly tcp: KeyObject; readonly udp: KeyObject }
  /** Device OS modules that the cloud has. */
  readonly modules: readonly CoreModule[]
  /** Silent unless given. */
  readonly log?: Logger
  /** How often the gateway looks at its deadlines, in milliseconds. */
  readonly tick?: number
  readonly limits?: { readonly gateway?: Partial<GatewayLimits>; readonly updates?: UpdatesOptions['limits'] }
  /** What stands before the gateway on the updates' way to it: a test's way to change what the cloud does. */
  readonly beforeGateway?: (gateway: Gateway) => Gateway
}

export interface CloudCore {
  readonly registry: DeviceRegistry
  readonly gateway: Gateway
  readonly updates: Updates
  readonly bus: Bus
  /** As `kill -9`: nothing more happens, and only what was committed is left. */
  kill(): void
  /** In order. The store stays open. */
  close(): Promise<void>
}

/** The user whose devices they are. */
export const coreOwner = { id: 'owner', administrator: true } as const

export async function startCloudCore(options: CloudCoreOptions): Promise<CloudCore> {
  const { random, serverKeys, limits = {}, log = pino({ level: 'silent' }) } = options
  const store = options.store.open()
  const clock = mortalClock(options.clock)
  const ports = mortalPorts(options.ports)
  const now = () => clock.value.now()
  await ensureOwner(store, now())
  const registry = await DeviceRegistry.open({
    store,
    now,
    clock: clock.value,
    onError: (error) => log.error({ error }, 'what devices told could not be stored'),
  })
  const bus = createLocalBus((error, { name }) => log.error({ error, event: name }, 'an event broke its receiver'))
  const sessions = await SessionStore.open({
    store,
    clock: clock.value,
    beforeCommit: (deviceIds) => registry.flushOf(deviceIds),
    onError: (error) => log.error({ error }, 'sessions of devices could not be stored'),
  })
  const gateway = createGateway({
    tcp: { serverKey: serverKeys.tcp },
    udp: { serverKey: serverKeys.udp, sessions },
    registry,
    bus,
    log,
    clock: clock.value,
    random,
    ports: ports.value,
    ...(options.tick !== undefined && { tick: options.tick }),
    ...(limits.gateway && { limits: limits.gateway }),
  })
  const updates = await startUpdates({
    store,
    registry,
    gateway: options.beforeGateway?.(gateway) ?? gateway,
    catalogue: catalogueOf(options.modules),
    bus,
    log,
    clock: clock.value,
    ...(limits.updates && { limits: limits.updates }),
  })
  await gateway.listen({ host: '127.0.0.1', tcpPort: 0, udpPort: 0 })
  return {
    registry,
    gateway,
    updates,
    bus,
    kill() {
      store.kill()
      clock.kill()
      ports.kill()
    },
    async close() {
      const ended = updates.close()
      await gateway.close()
      await ended
      await sessions.close()
      await registry.close()
      await store.close()
    },
  }
}

async function ensureOwner(store: Store, now: number): Promise<void> {
  await store.db
    .insertInto('users')
    .values({
      id: coreOwner.id,
      username: coreOwner.id,
      password_hash: '',
      account_info: '{}',
      is_administrator: 1,
      created_at: now,
      updated_at: now,
    })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .execute()
}
