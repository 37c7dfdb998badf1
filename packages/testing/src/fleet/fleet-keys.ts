/** Keys of simulated worlds, made once a process: all devices of a transport have the same. */
import { createPublicKey, type KeyObject } from 'node:crypto'
import {
  devicePrivateKeyDer,
  devicePublicKeyDer,
  ecPrivateKeyDer,
  ecPublicKeyDer,
  generateDeviceKey,
  generateEcKey,
  generateServerKey,
  serverPublicKeyDer,
} from '@aloe/protocol'
import type { FleetKeys } from './fleet-device.ts'

export interface FleetKeySet extends FleetKeys {
  readonly serverPrivate: { readonly tcp: KeyObject; readonly udp: KeyObject }
  readonly devicePublic: { readonly tcp: Uint8Array; readonly udp: Uint8Array }
}

let keys: Promise<FleetKeySet> | undefined

export function fleetKeys(): Promise<FleetKeySet> {
  keys ??= makeKeys()
  return keys
}

async function makeKeys(): Promise<FleetKeySet> {
  const [rsa, ec, serverRsa, serverEc] = await Promise.all([
    generateDeviceKey(),
    generateEcKey(),
    generateServerKey(),
    generateEcKey(),
  ])
  return {
    device: { tcp: devicePrivateKeyDer(rsa), udp: ecPrivateKeyDer(ec) },
    deviceEc: ec,
    devicePublic: { tcp: devicePublicKeyDer(rsa), udp: ecPublicKeyDer(ec) },
    server: { tcp: serverPublicKeyDer(serverRsa), udp: ecPublicKeyDer(serverEc) },
    serverEc: createPublicKey(serverEc),
    serverPrivate: { tcp: serverRsa, udp: serverEc },
  }
}
