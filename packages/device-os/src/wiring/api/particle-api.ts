/** The manifest of `Particle`. */
import { type ApiMember, type ApiType, members } from './member.ts'

const publishDoc = `Publishes an event to the cloud. Name: at most 64 bytes, not beginning with \`spark\` or \`particle\`; data: at
most 1024 bytes. A number among the options is the time to live in seconds (60 by default), words are flags:
\`WITH_ACK\` waits for the cloud's acknowledgement (at most 20 s), \`NO_ACK\` does not.
At most 4 events a second in a burst. Resolves to false when the event was not sent: not connected, too many, too long.`

const subscribeDoc = `Calls the handler for each event whose name begins with the filter, published by any device of the owner or by
the owner. At most 4 subscriptions; false when there is no room.`

export const particleTypes: readonly ApiType[] = [
  {
    name: 'PublishFlag',
    since: '1.0.0',
    declaration: `type PublishFlag = 'PUBLIC' | 'PRIVATE' | 'NO_ACK' | 'WITH_ACK'`,
    doc: 'How an event is published. All events are private to the owner; `PUBLIC` and `PRIVATE` change nothing.',
  },
  {
    name: 'VariableValue',
    since: '1.0.0',
    declaration: 'type VariableValue = boolean | number | string',
    doc: 'What a cloud variable can be: a boolean, an integer of 32 bits, a double, or text of at most 1024 bytes.',
  },
  {
    name: 'VariableType',
    since: '1.0.0',
    declaration: `type VariableType = 'bool' | 'int32' | 'string' | 'double'`,
    doc: 'The type of a cloud variable: `BOOLEAN`, `INT`, `STRING` or `DOUBLE`.',
  },
  {
    name: 'FunctionHandler',
    since: '1.0.0',
    declaration: 'type FunctionHandler = (argument: string) => number | void | Promise<number | void>',
    doc: 'Handles a call of a cloud function; the number (an integer of 32 bits, 0 when there is none) is the answer.',
  },
  {
    name: 'EventHandler',
    since: '1.0.0',
    declaration: 'type EventHandler = (name: string, data: string) => void | Promise<void>',
    doc: 'Handles an event.',
  },
  {
    name: 'JsonData',
    since: '2.0.0',
    declaration:
      'type JsonData = null | boolean | number | string | readonly JsonData[] | { readonly [key: string]: JsonData }',
    doc: 'Structured data: whatever JSON can say.',
  },
  {
    name: 'DataEventHandler',
    since: '2.0.0',
    declaration: 'type DataEventHandler = (name: string, data: JsonData | Uint8Array) => void | Promise<void>',
    doc: 'Handles an event with data of any kind: text, structured or binary.',
  },
]

export const particleMembers: readonly ApiMember[] = [
  ...members({ since: '1.0.0', source: 'particle.ts' }, [
    [
      'Particle.publish',
      'publish',
      'publish(name: string, data?: string, ...options: (number | PublishFlag)[]): Promise<boolean>',
      publishDoc,
      {
        requests: [{ name: 'publish', export: 'publishRequest' }],
        later: [
          {
            since: '2.0.0',
            source: 'particle-structured.ts',
            export: 'publishAny',
            declaration: `publish(name: string, data?: string, ...options: (number | PublishFlag)[]): Promise<boolean>
publish(name: string, data: object | Uint8Array, ...options: (number | PublishFlag)[]): Promise<boolean>`,
            doc: `${publishDoc}
Since 2.0.0 data may be structured (objects and arrays, sent as CBOR) or binary.`,
            requests: [{ name: 'publish', export: 'publishRequest' }],
          },
        ],
      },
    ],
    ['Particle.subscribe', 'subscribe', 'subscribe(filter: string, handler: EventHandler): boolean', subscribeDoc],
    ['Particle.unsubscribe', 'unsubscribe', 'unsubscribe(): void', 'Ends all subscriptions of the application.'],
    [
      'Particle.function',
      'cloudFunction',
      'function(name: string, handler: FunctionHandler): boolean',
      `Makes a function that the cloud can call. Name: at most 64 bytes; at most 100 functions; false when there is no room.
A handler that is never reached (because the application does not yield) lets the caller time out.`,
    ],
    [
      'Particle.variable',
      'variable',
      'variable(name: string, value: VariableValue | (() => VariableValue), type?: VariableType): boolean',
      `Makes a variable that the cloud can read. The type is that of the first value, and stays; for a number
double, unless \`INT\` is given.
A function is asked when the cloud reads, and about five times a second between two turns of \`loop()\`. While the
application does not yield, the cloud is given the last value that it had then; \`Particle.process()\` renews it.`,
    ],
    ['Particle.connected', 'connected', 'connected(): boolean', 'Whether the device is connected to the cloud.'],
    [
      'Particle.disconnected',
      'disconnected',
      'disconnected(): boolean',
      'Whether the device is not connected to the cloud.',
    ],
    [
      'Particle.connect',
      'connect',
      'connect(): void',
      'Connects to the cloud and stays connected. A device does so by itself when it starts.',
      { requests: [{ name: 'connect', export: 'connectRequest' }] },
    ],
    [
      'Particle.disconnect',
      'disconnect',
      'disconnect(): Promise<void>',
      'Leaves the cloud, until `Particle.connect()`. Resolves when the connection is closed.',
      { requests: [{ name: 'disconnect', export: 'disconnectRequest' }] },
    ],
    [
      'Particle.process',
      'processMessages',
      'process(): void',
      `Handles what waits: calls, events, reads of variables. Only needed by a loop that runs long without \`await\`.`,
    ],
    [
      'Particle.syncTime',
      'syncTime',
      'syncTime(): Promise<boolean>',
      'Asks the cloud for the time. Resolves to whether it came.',
      { requests: [{ name: 'syncTime', export: 'syncTimeRequest' }] },
    ],
    [
      'Particle.syncTimeDone',
      'syncTimeDone',
      'syncTimeDone(): boolean',
      'False while a `syncTime` waits for the cloud.',
    ],
    [
      'Particle.syncTimePending',
      'syncTimePending',
      'syncTimePending(): boolean',
      'True while a `syncTime` waits for the cloud.',
    ],
    [
      'Particle.timeSyncedLast',
      'timeSyncedLast',
      'timeSyncedLast(): number',
      'When the time last came from the cloud, as a value of `millis()`; 0 when it never did.',
    ],
    [
      'Particle.keepAlive',
      'keepAlive',
      'keepAlive(seconds: number): void',
      'How long the connection may be silent before the device pings the cloud.',
      { requests: [{ name: 'keepAlive', export: 'keepAliveRequest' }] },
    ],
  ]),
  ...members({ since: '1.1.0-rc.1', source: 'particle.ts' }, [
    [
      'Particle.publishVitals',
      'publishVitals',
      'publishVitals(period?: number): Promise<boolean>',
      `Sends the device's vitals (memory, uptime, connection counters) to the cloud now and, with a period in seconds, again
and again; 0 ends that.`,
      {
        requests: [
          { name: 'vitals', export: 'vitalsRequest' },
          { name: 'vitalsPeriod', export: 'vitalsPeriodRequest' },
        ],
      },
    ],
  ]),
  ...members({ since: '1.1.0', source: 'particle.ts' }, [
    [
      'Particle.maxEventDataSize',
      'maxEventDataSize',
      'maxEventDataSize(): number',
      'Bytes of data that an event can have.',
    ],
    [
      'Particle.maxVariableValueSize',
      'maxVariableValueSize',
      'maxVariableValueSize(): number',
      'Bytes that the text of a variable can have.',
    ],
    [
      'Particle.maxFunctionArgumentSize',
      'maxFunctionArgumentSize',
      'maxFunctionArgumentSize(): number',
      'Bytes that the argument of a function call can have.',
    ],
  ]),
  ...members({ since: '2.0.0', source: 'particle-structured.ts' }, [
    [
      'Particle.subscribeData',
      'subscribeBinary',
      'subscribeData(filter: string, handler: DataEventHandler): boolean',
      `Like \`Particle.subscribe\`, for events with structured or binary data: the handler is given what was published.`,
    ],
  ]),
]
