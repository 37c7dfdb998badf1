/** A diagnostics packet as the API shows it, for `spark/device/diagnostics/update` (cloud-api.md 1.9). */
import type { Vital } from '@aloe/protocol'

export type Json = { [key: string]: Json | number | string }

interface Place {
  readonly path: readonly string[]
  /** Words for codes (device-protocol.md 5). */
  readonly words?: readonly (string | undefined)[]
}

const networkStatus = [
  'off',
  'turning_on',
  'disconnected',
  'connecting',
  'connected',
  'disconnecting',
  undefined,
  'turning_off',
]
const cloudStatus = ['disconnected', 'connecting', 'connected', 'disconnecting']
const batteryState = ['unknown', 'not_charging', 'charging', 'charged', 'discharging', 'fault', 'disconnected']
const powerSource = ['unknown', 'VIN', 'USB host', 'USB adapter', 'USB OTG', 'battery']
const cloudReasons = [
  'none',
  'error',
  'user',
  'network_disconnect',
  'listening',
  'system_reset',
  'sleep',
  'unknown',
  'server_moved',
]
const networkReasons = ['none', 'error', 'user', 'network_off', 'listening', 'sleep', 'reset', 'unknown']

function at(path: string, words?: readonly (string | undefined)[]): Place {
  return { path: path.split('.'), ...(words && { words }) }
}

const places: Readonly<Record<string, Place>> = {
  'net:stat': at('network.connection.status', networkStatus),
  'net:err': at('network.connection.error'),
  'net:dconn': at('network.connection.disconnects'),
  'net:connatt': at('network.connection.attempts'),
  'net:dconnrsn': at('network.connection.disconnect_reason', networkReasons),
  'net:at': at('network.signal.at'),
  'net:sigstr': at('network.signal.strength'),
  'net:sigqual': at('network.signal.quality'),
  'net:sigstrv': at('network.signal.strengthv'),
  'net:sigqualv': at('network.signal.qualityv'),
  'net:cell:cgi:mcc': at('network.cellular.cell_global_identity.mobile_country_code'),
  'net:cell:cgi:mnc': at('network.cellular.cell_global_identity.mobile_network_code'),
  'net:cell:cgi:lac': at('network.cellular.cell_global_identity.location_area_code'),
  'net:cell:cgi:ci': at('network.cellular.cell_global_identity.cell_id'),
  'cloud:stat': at('cloud.connection.status', cloudStatus),
  'cloud:err': at('cloud.connection.error'),
  'cloud:connatt': at('cloud.connection.attempts'),
  'cloud:dconn': at('cloud.connection.disconnects'),
  'cloud:dconnrsn': at('cloud.connection.disconnect_reason', cloudReasons),
  'coap:transmit': at('cloud.coap.transmit'),
  'coap:retransmit': at('cloud.coap.retransmit'),
  'coap:unack': at('cloud.coap.unack'),
  'coap:roundtrip': at('cloud.coap.round_trip'),
  'pub:limit': at('cloud.publish.rate_limited'),
  'batt:soc': at('power.battery.charge'),
  'batt:state': at('power.battery.state', batteryState),
  'pwr:src': at('power.source', powerSource),
  'sys:uptime': at('system.uptime'),
  'sys:uram': at('system.memory.used'),
  'sys:tram': at('system.memory.total'),
}

/** What the cloud knows of a device's connection. */
export interface ServiceVitals {
  /** Unix milliseconds of the Hello. */
  readonly since: number
  /** Unix milliseconds. */
  readonly now: number
  /** Events of the device in this connection. */
  readonly published: number
  /** Milliseconds from the last ping to its answer; undefined before the first. */
  readonly roundTrip: number | undefined
}

/** `service` of cloud-api.md 1.9: seconds, counts, milliseconds. */
export function serviceVitals({ since, now, published, roundTrip }: ServiceVitals): Json {
  return {
    device: { status: 'ok' },
    cloud: { uptime: Math.max(0, Math.round((now - since) / 1_000)), publish: { sent: published } },
    ...(roundTrip !== undefined && { coap: { round_trip: Math.round(roundTrip) } }),
  }
}

/** `device` of cloud-api.md 1.9; a source that could not be read is `{"err":-210}`. */
export function deviceVitals(vitals: readonly Vital[]): Json {
  const device: Json = {}
  for (const { name, value, error } of vitals) {
    const place = name === undefined ? undefined : places[name]
    if (!place) continue
    if (error !== undefined) put(device, place.path, { err: error })
    else if (value !== undefined) put(device, place.path, shown(name ?? '', place, value))
  }
  return device
}

function shown(name: string, { words }: Place, value: number): string | number {
  // A two-digit network code comes negated (device-protocol.md 5).
  if (name === 'net:cell:cgi:mnc') return String(Math.abs(value)).padStart(value < 0 ? 2 : 3, '0')
  return words?.[value] ?? Math.round(value * 100) / 100
}

function put(target: Json, path: readonly string[], value: Json | number | string): void {
  let place = target
  for (const key of path.slice(0, -1)) {
    const next = place[key]
    if (typeof next === 'object') place = next
    else {
      const made: Json = {}
      place[key] = made
      place = made
    }
  }
  place[path.at(-1) ?? ''] = value
}
