/** Bad networks on demand, in simulated and in real time (docs/testing.md). */

export {
  type BothWays,
  type BurstLoss,
  type DatagramConditions,
  type NetworkName,
  networkNames,
  networkOf,
  type Outage,
  type StreamConditions,
  streamNetworkOf,
} from './conditions.ts'
export { type DatagramCounts, Impairment } from './impairment.ts'
export { type Random, randomBytesOf, seeded } from './random.ts'
export {
  type DatagramClient,
  type DatagramServer,
  type DatagramServerHandler,
  SimulatedDatagrams,
} from './simulated-datagrams.ts'
export {
  SimulatedStreams,
  type StreamConnection,
  type StreamHandlers,
  type StreamListener,
  type StreamSocket,
} from './simulated-streams.ts'
export { type Millis, Poller, Simulation, type Timer } from './simulation.ts'
export { type Segment, type Shaped, StreamShaper } from './stream-shaper.ts'
export { TcpRelay, type TcpRelayOptions } from './tcp-relay.ts'
export { UdpRelay, type UdpRelayOptions } from './udp-relay.ts'
