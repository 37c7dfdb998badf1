/** The device object (cloud-api.md 3.1). */
import { platformById } from '@aloe/firmware'
import type { DeviceRecord } from '../devices/device.ts'
import { type ApiContext, iso } from './context.ts'
import { membershipJson } from './product-json.ts'

export function deviceJson(device: DeviceRecord, context: ApiContext): Record<string, unknown> {
  const { gateway, identity } = context
  const online = gateway.isOnline(device.id)
  const target = deviceOsVersion(device, context) ?? null
  return {
    id: device.id,
    name: device.name,
    owner: device.ownerId === null ? null : (identity.users.get(device.ownerId)?.username ?? null),
    last_ip_address: device.lastIp,
    last_heard: iso(device.lastHeardAt),
    last_handshake_at: iso(device.lastHandshakeAt),
    last_app: null,
    // Equal for a device of no product: that is how the CLI tells (cloud-api.md 0.4).
    product_id: device.memberOf ?? device.platformId,
    platform_id: device.platformId,
    // The CLI tests `connected`, the documents name `online`.
    online,
    connected: online,
    cellular: device.platformId !== null && platformById(device.platformId)?.connectivity === 'cellular',
    notes: device.notes,
    functions: device.functions,
    variables: device.variables,
    status: device.status,
    serial_number: device.serialNumber,
    iccid: device.describe?.iccid ?? null,
    last_iccid: device.describe?.iccid ?? null,
    imei: device.describe?.imei ?? null,
    system_firmware_version: target,
    current_build_target: target,
    pinned_build_target: device.pinnedBuildTarget,
    default_build_target:
      device.platformId === null ? null : (context.catalogue.defaultRelease(device.platformId)?.version ?? null),
    firmware_updates_enabled: device.updatesEnabled,
    firmware_updates_forced: device.updatesForced,
    device_protection: { status: device.describe?.protectedState === true ? 'active' : 'disabled' },
    ...membershipJson(device, context),
  }
}

/** The Device OS version that the device runs; undefined when it has not said, or no release in the catalogue has that number. */
export function deviceOsVersion(device: DeviceRecord, { catalogue }: ApiContext): string | undefined {
  if (device.systemVersion === null || device.platformId === null) return undefined
  return catalogue.release(device.systemVersion, device.platformId)?.version
}
