/**
 * Faults put into a world where it lets something stand between two parts: a storage before a flash, a rule in a rule's
 * place, a cloud that does more than it should. None is in the code of cloud or device; each must be found.
 */
import type { Gateway } from '@aloe/cloud'
import type { Storage } from '@aloe/device-os'
import { bootCheck, type CatalogueModule, findInstalled, installedModules, type SystemDescribe } from '@aloe/firmware'
import { wholeCatalogue } from './releases.ts'
import type { DeviceScenario } from './scenario.ts'
import { modulesOfFile } from './sent-modules.ts'
import type { Invariant } from './violation.ts'
import type { WorldChanges } from './world.ts'

export interface Mutation {
  readonly words: string
  /** Which invariant falls. */
  readonly breaks: Invariant
  readonly changes: WorldChanges
}

export const mutations: readonly Mutation[] = [
  {
    words: 'a bootloader that does not sync what it copied',
    breaks: 'unbootable',
    changes: { storage: withoutSync((name) => name.startsWith('slot-')) },
  },
  {
    words: 'a bootloader that forgets what it has to copy before it has copied it',
    breaks: 'unbootable',
    // Only a power cut between two writes shows it: every board gets many.
    changes: { storage: withLatePages, devices: (devices) => devices.map(cutOften) },
  },
  {
    words: 'a boot check that does not ask what the application needs',
    breaks: 'dependencies',
    changes: {
      bootCheck: (platform, installed, options) => {
        const check = bootCheck(platform, installed, options)
        return check.reason === 'application' ? { ...check, mode: 'normal' } : check
      },
    },
  },
  {
    words: 'boards that refuse an application whose Device OS is missing',
    breaks: 'convergence',
    changes: { rules: { userOptional: false, full: true } },
  },
  {
    words: 'a cloud that takes for sent what it did not send',
    breaks: 'convergence',
    changes: { gateway: (gateway) => pretending(gateway) },
  },
  {
    words: 'a healer that sends again what it has sent',
    breaks: 'repetition',
    changes: { gateway: (gateway) => repeating(gateway) },
  },
  {
    words: 'a planner that goes down as well as up',
    breaks: 'downgrade',
    changes: { gateway: (gateway) => pushing(gateway, (module, present) => module.version < present) },
  },
  {
    words: 'a healer that pushes the newest',
    breaks: 'uninvited',
    changes: { gateway: (gateway) => pushing(gateway, (module, present) => module.version > present) },
  },
]

function cutOften(device: DeviceScenario): DeviceScenario {
  return { ...device, troubles: { cutWithin: 60 } }
}

// Storages.

/** The same storage with some of its methods replaced. */
function like(storage: Storage, changed: Partial<Storage>): Storage {
  return {
    read: (name, offset, length) => storage.read(name, offset, length),
    write: (name, bytes, offset) => storage.write(name, bytes, offset),
    truncate: (name, size) => storage.truncate(name, size),
    sync: (name) => storage.sync(name),
    rename: (from, to) => storage.rename(from, to),
    remove: (name) => storage.remove(name),
    list: (prefix) => storage.list(prefix),
    size: (name) => storage.size(name),
    syncDirectory: () => storage.syncDirectory(),
    ...changed,
  }
}

function withoutSync(which: (name: string) => boolean): (storage: Storage) => Storage {
  return (storage) =>
    like(storage, {
      sync: (name) => {
        if (!which(name)) storage.sync(name)
      },
    })
}

/** Pages of module places reach the flash only once the list of what waits has changed. */
function withLatePages(storage: Storage): Storage {
  let late: (() => void)[] = []
  const isPlace = (name: string) => /^slot-.*\.bin$/.test(name) && storage.size(name) !== undefined
  return like(storage, {
    write: (name, bytes, offset) => {
      if (isPlace(name) && offset !== undefined) late.push(() => storage.write(name, bytes, offset))
      else storage.write(name, bytes, offset)
    },
    sync: (name) => {
      if (isPlace(name)) late.push(() => storage.sync(name))
      else storage.sync(name)
    },
    rename: (from, to) => {
      storage.rename(from, to)
      if (to !== 'dct.bin') return
      const pages = late
      // A power cut forgets what is late.
      late = []
      storage.syncDirectory()
      for (const page of pages) page()
    },
  })
}

// Clouds.

function gatewayLike(gateway: Gateway, changed: Partial<Gateway>): Gateway {
  return new Proxy(gateway, {
    get: (target, property) => {
      if (Object.hasOwn(changed, property)) return Reflect.get(changed, property)
      const value: unknown = Reflect.get(target, property, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

function pretending(gateway: Gateway): Gateway {
  return gatewayLike(gateway, {
    startUpdate: (deviceId, file, options) => {
      if (modulesOfFile(file).some((module) => module.function === 'user_part')) {
        return gateway.startUpdate(deviceId, file, options)
      }
      const accepted = Promise.resolve({ ok: true, offset: 0 } as const)
      return { accepted, outcome: Promise.resolve({ ok: true }), cancel: () => false }
    },
  })
}

function repeating(gateway: Gateway): Gateway {
  const sent = new Map<string, Uint8Array>()
  gateway.observe({
    described: (deviceId) => {
      const file = sent.get(deviceId)
      if (file) gateway.startUpdate(deviceId, file, {})
      sent.delete(deviceId)
    },
  })
  return gatewayLike(gateway, {
    startUpdate: (deviceId, file, options) => {
      const update = gateway.startUpdate(deviceId, file, options)
      update?.outcome.then(
        ({ ok }) => ok && sent.set(deviceId, file),
        () => {},
      )
      return update
    },
  })
}

/** Sends the newest module that lies above, or below, what a contented device has. */
function pushing(gateway: Gateway, wanted: (module: CatalogueModule, present: number) => boolean): Gateway {
  gateway.observe({
    described: (deviceId, describe) => {
      const next = candidate(describe, wanted)
      if (next) gateway.startUpdate(deviceId, next, {})
    },
  })
  return gateway
}

function candidate(
  describe: SystemDescribe,
  wanted: (module: CatalogueModule, present: number) => boolean,
): Uint8Array | undefined {
  if (describe.modules.some(({ checked, passed }) => checked !== passed)) return undefined
  const installed = installedModules(describe)
  const fitting = wholeCatalogue().filter(({ module }) => {
    const present = findInstalled(installed, module)
    return module.platformId === describe.platformId && present !== undefined && wanted(module, present.version)
  })
  return fitting.at(-1)?.bytes
}
