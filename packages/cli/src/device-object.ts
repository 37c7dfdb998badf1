/** The device object of the API (cloud-api.md 3.1), as far as commands use it. */

export interface Device {
  readonly id: string
  readonly name: string | null
  readonly connected: boolean
  /** Not known before the device has connected. */
  readonly platformId: number | undefined
  readonly status: string
  readonly systemVersion: string | undefined
  readonly functions: readonly string[]
  readonly variables: Readonly<Record<string, string>>
  /** As it came. */
  readonly raw: unknown
}

/** Reads what is there; a field that is missing or of another type is empty. */
export function readDevice(raw: unknown): Device {
  const fields: Readonly<Record<string, unknown>> = typeof raw === 'object' && raw !== null ? { ...raw } : {}
  const { id, name, connected, online, platform_id, status, system_firmware_version, functions, variables } = fields
  return {
    id: typeof id === 'string' ? id : '',
    name: typeof name === 'string' ? name : null,
    connected: connected === true || online === true,
    platformId: typeof platform_id === 'number' ? platform_id : undefined,
    status: typeof status === 'string' ? status : 'normal',
    systemVersion: typeof system_firmware_version === 'string' ? system_firmware_version : undefined,
    functions: Array.isArray(functions) ? functions.map(String) : [],
    variables:
      typeof variables === 'object' && variables !== null
        ? Object.fromEntries(Object.entries(variables).map(([key, value]) => [key, String(value)]))
        : {},
    raw,
  }
}

/** Its state in one word or two. */
export function stateOf({ connected, status }: Device): string {
  if (!connected) return 'offline'
  return status === 'safe_mode' ? 'safe mode' : 'online'
}
