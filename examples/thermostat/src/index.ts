/**
 * A thermostat: it measures (a simulated room), reports structured data and can be told a target.
 * Needs Device OS 2.0.0: structured events and LEDStatus came with it.
 */
import { delay, LEDStatus, Log, Particle, System } from 'device-os'
import { Room } from './room.ts'

const room = new Room(19)
const heating = new LEDStatus(0xff6000, 'fade', 'fast', 'important')

export function setup(): void {
  Particle.variable('temperature', () => room.temperature)
  Particle.variable('target', () => room.target)
  Particle.function('setTarget', (argument) => {
    const target = Number(argument)
    if (!(target >= 5 && target <= 30)) return -1
    room.target = target
    Log.info('target is now', target)
    return target
  })
  Log.info('thermostat on Device OS', System.version())
}

export async function loop(): Promise<void> {
  room.pass(0.5)
  heating.setActive(room.heating)
  await Particle.publish('climate', { temperature: room.temperature, target: room.target, heating: room.heating })
  await delay(1_000)
}
