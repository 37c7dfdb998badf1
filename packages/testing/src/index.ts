/** What users and we ourselves test with: clouds, virtual devices, faulty media. */

export { FaultyStorage, PowerCut } from './faulty-storage.ts'
