export type {
  ApplicationHandlers,
  ApplicationMessage,
  ApplicationPort,
  ApplicationRun,
  ApplicationStart,
  RunApplication,
  StartApplication,
} from './application.ts'
export { type Clock, realClock } from './clock.ts'
export type { Hal, LogLevel, LogRecord, MemoryInfo, TcpHandlers, TcpSocket, UdpHandlers, UdpSocket } from './hal.ts'
export { colorAt, intensityAt, type LedPattern, type LedState, type LedStep, type Rgb } from './led-state.ts'
export { LinuxHal, type LinuxHalOptions } from './linux/linux-hal.ts'
export { connectTcp } from './linux/tcp.ts'
export { connectUdp } from './linux/udp.ts'
export { workerRunner } from './linux/worker-runner.ts'
export { PinBank, type PinChange, type PinMode, pinBankBytes, pinCount } from './pins.ts'
export type { Millis, Timer } from './time.ts'
export { inlineRunner } from './virtual/inline-runner.ts'
export { VirtualClock } from './virtual/virtual-clock.ts'
export { type VirtualDatagramServer, VirtualDatagrams } from './virtual/virtual-datagrams.ts'
export { VirtualHal, type VirtualHalOptions } from './virtual/virtual-hal.ts'
export { type VirtualListener, VirtualNetwork, type VirtualServerHandlers } from './virtual/virtual-network.ts'
