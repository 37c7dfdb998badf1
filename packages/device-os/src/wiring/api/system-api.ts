/** The manifest of `System`. */
import { type ApiMember, type ApiType, members } from './member.ts'

export const systemTypes: readonly ApiType[] = [
  {
    name: 'SystemEventHandler',
    since: '1.0.0',
    declaration: 'type SystemEventHandler = (event: number, parameter: number) => void',
    doc: 'Handles a system event: which one, and its parameter.',
  },
  {
    name: 'ApplicationAsset',
    since: '2.0.0',
    declaration: 'type ApplicationAsset = { readonly name: string; readonly size: number; readonly hash: string }',
    doc: 'An asset: its name, its bytes, and the SHA-256 of its content in hexadecimal.',
  },
]

const source = 'system-api.ts'
const updates = [{ name: 'updates', export: 'updatesRequest' }]
const resets = [{ name: 'resetEnabled', export: 'resetEnabledRequest' }]

export const systemMembers: readonly ApiMember[] = [
  ...members({ since: '1.0.0', source }, [
    ['System.version', 'version', 'version(): string', 'The Device OS version, e.g. `1.1.0-rc.1`.'],
    [
      'System.versionNumber',
      'versionNumber',
      'versionNumber(): number',
      'The Device OS version as 0xAABBCCDD: major, minor, patch, and 0 for a final release or 0x80 + n for `rc.n`.',
    ],
    ['System.deviceID', 'deviceId', 'deviceID(): string', 'The id of the device: 24 hexadecimal characters.'],
    ['System.freeMemory', 'freeMemory', 'freeMemory(): number', 'Bytes of memory that are free.'],
    [
      'System.reset',
      'reset',
      'reset(data?: number): never',
      'Restarts the device, with reset reason `RESET_REASON_USER` and the given data. Does not return.',
      { requests: [{ name: 'reset', export: 'resetRequest' }] },
    ],
    [
      'System.enterSafeMode',
      'enterSafeMode',
      'enterSafeMode(): never',
      'Restarts the device in safe mode: connected, without the application. Does not return.',
      { requests: [{ name: 'safeMode', export: 'safeModeRequest' }] },
    ],
    [
      'System.resetReason',
      'resetReason',
      'resetReason(): number',
      'Why the device started: a `RESET_REASON_…` constant.',
    ],
    [
      'System.resetReasonData',
      'resetReasonData',
      'resetReasonData(): number',
      'What came with the reset reason: the data of `System.reset`, or the code of a panic.',
    ],
    [
      'System.enableUpdates',
      'enableUpdates',
      'enableUpdates(): void',
      'Lets the cloud update the device. So it is when the device starts.',
      { requests: updates },
    ],
    [
      'System.disableUpdates',
      'disableUpdates',
      'disableUpdates(): void',
      'Refuses updates, except those that the owner forces. Not kept over a restart.',
      { requests: updates },
    ],
    [
      'System.updatesEnabled',
      'updatesEnabled',
      'updatesEnabled(): boolean',
      'Whether the application lets updates in.',
    ],
    [
      'System.updatesPending',
      'updatesPending',
      'updatesPending(): boolean',
      'Whether the cloud has an update that waits to be let in.',
    ],
    [
      'System.enableReset',
      'enableReset',
      'enableReset(): void',
      'Lets the system restart the device when it needs to. So it is when the device starts.',
      { requests: resets },
    ],
    [
      'System.disableReset',
      'disableReset',
      'disableReset(): void',
      'Holds back restarts that the system wants (after an update, for example) until `System.enableReset()`.',
      { requests: resets },
    ],
    ['System.resetPending', 'resetPending', 'resetPending(): boolean', 'Whether a restart is being held back.'],
    [
      'System.on',
      'on',
      'on(events: number, handler: SystemEventHandler): boolean',
      'Calls the handler for system events, e.g. `System.on(cloud_status | reset_pending, handler)`.',
    ],
    [
      'System.off',
      'off',
      `off(events: number, handler?: SystemEventHandler): void
off(handler: SystemEventHandler): void`,
      'Ends what `System.on` began.',
    ],
  ]),
  ...members({ since: '1.1.0-rc.1', source }, [
    ['System.uptime', 'uptime', 'uptime(): number', 'Seconds since the device started.'],
  ]),
  ...members({ since: '1.1.0', source }, [
    ['System.millis', 'systemMillis', 'millis(): number', 'Milliseconds since the device started.'],
    [
      'System.updatesForced',
      'updatesForced',
      'updatesForced(): boolean',
      'Whether the owner forces updates although the application refuses them.',
    ],
  ]),
  ...members({ since: '2.0.0', source: 'assets-api.ts' }, [
    [
      'System.assetsAvailable',
      'assetsAvailable',
      'assetsAvailable(): Promise<readonly ApplicationAsset[]>',
      'The assets that came with the application.',
      { requests: [{ name: 'assets', export: 'assetsRequest' }] },
    ],
    [
      'System.readAsset',
      'readAsset',
      'readAsset(name: string): Promise<Uint8Array | undefined>',
      'The content of an asset; undefined when there is none of that name.',
      { requests: [{ name: 'asset', export: 'assetRequest' }] },
    ],
  ]),
]
