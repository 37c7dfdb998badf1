/** Updates over bad networks, in simulated time. */
export {
  recordOverhead,
  type SimulatedUpdate,
  type SimulatedUpdateOptions,
  simulateUpdate,
} from './simulated-update.ts'
