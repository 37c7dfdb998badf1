/** The first application: a pin that blinks, a function, a variable and an event. Runs on every Device OS. */
import { D7, delay, digitalWrite, HIGH, LOW, OUTPUT, Particle, pinMode } from 'device-os'

let period = 500
let blinks = 0

export function setup(): void {
  pinMode(D7, OUTPUT)
  Particle.variable('blinks', () => blinks)
  Particle.function('period', (argument) => {
    period = Math.max(50, Number(argument) || 500)
    return period
  })
}

export async function loop(): Promise<void> {
  digitalWrite(D7, HIGH)
  await delay(period)
  digitalWrite(D7, LOW)
  await delay(period)
  blinks += 1
  if (blinks % 5 === 0) await Particle.publish('blinks', String(blinks))
}
