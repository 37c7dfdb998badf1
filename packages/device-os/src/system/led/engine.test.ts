import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { colorAt, intensityAt } from '../../hal/led-state.ts'
import { LedEngine } from './engine.ts'
import { durationOf, panicSteps, rainbowSteps } from './indications.ts'
import { type LedSignalName, ledSignals, periodOf, rankOf } from './signals.ts'

const runs = { numRuns: Number(process.env.ALOE_FUZZ_RUNS ?? 200) }

describe('LED patterns', () => {
  const table: [pattern: 'blink' | 'fade' | 'solid', period: number, elapsed: number, intensity: number][] = [
    ['solid', 0, 12_345, 1],
    ['blink', 200, 0, 1],
    ['blink', 200, 99, 1],
    ['blink', 200, 100, 0],
    ['blink', 200, 199, 0],
    ['blink', 200, 200, 1],
    ['fade', 4000, 0, 1],
    ['fade', 4000, 1000, 0.5],
    ['fade', 4000, 2000, 0],
    ['fade', 4000, 3000, 0.5],
    ['fade', 4000, 4000, 1],
  ]
  for (const [pattern, period, elapsed, intensity] of table) {
    it(`${pattern} of ${period} ms is ${intensity} after ${elapsed} ms`, () => {
      assert.equal(intensityAt(pattern, period, elapsed), intensity)
    })
  }

  it('has the periods of Device OS', () => {
    assert.deepEqual(
      (['slow', 'normal', 'fast'] as const).map((speed) => [periodOf('blink', speed), periodOf('fade', speed)]),
      [
        [500, 8000],
        [200, 4000],
        [100, 1000],
      ],
    )
  })

  it('multiplies by the brightness', () => {
    const led = new LedEngine()
    led.signal('cloud_connected', true, 0)
    led.brightness(51)
    assert.equal(colorAt(led.state(0), 0), 0x003333)
    assert.equal(colorAt(led.state(0), 2000), 0)
  })
})

describe('LED priorities', () => {
  it('ranks by priority, and the system before the application', () => {
    assert.equal(rankOf('background', 'application'), 41)
    assert.equal(rankOf('critical', 'system'), 162)
    assert.ok(rankOf('normal', 'system') > rankOf('normal', 'application'))
    assert.ok(rankOf('important', 'application') > rankOf('normal', 'system'))
  })

  const words: [LedSignalName, string][] = [
    ['network_connected', 'breathing green'],
    ['cloud_connecting', 'blinking cyan'],
    ['cloud_handshake', 'fast blinking cyan'],
    ['cloud_connected', 'breathing cyan'],
    ['safe_mode', 'breathing magenta'],
    ['listening_mode', 'blinking blue'],
    ['power_off', 'gray'],
  ]
  for (const [name, text] of words) {
    it(`shows ${name} as ${text}`, () => {
      const led = new LedEngine()
      led.signal(name, true, 0)
      assert.equal(led.state(0).words, text)
      assert.equal(led.state(0).signal, name)
    })
  }

  it('shows the highest, and goes back to the next when it ends', () => {
    const led = new LedEngine()
    led.signal('network_connected', true, 0)
    led.signal('cloud_connecting', true, 10)
    assert.equal(led.state(10).signal, 'cloud_connecting')
    led.signal('listening_mode', true, 20)
    assert.equal(led.state(20).signal, 'listening_mode')
    led.signal('listening_mode', false, 30)
    led.signal('cloud_connecting', false, 30)
    assert.equal(led.state(30).signal, 'network_connected')
  })

  it('shows the most recently activated of equals', () => {
    const led = new LedEngine()
    led.signal('cloud_connected', true, 0)
    led.signal('safe_mode', true, 1)
    assert.equal(led.state(1).signal, 'safe_mode')
    led.signal('cloud_connected', true, 2)
    assert.equal(led.state(2).signal, 'safe_mode', 'what is on already is not activated again')
  })

  it('always shows an entry of the highest rank', () => {
    const names = Object.keys(ledSignals) as LedSignalName[]
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...names), fc.boolean())), (steps) => {
        const led = new LedEngine()
        const on = new Set<LedSignalName>()
        steps.forEach(([name, active], now) => {
          led.signal(name, active, now)
          if (active) on.add(name)
          else on.delete(name)
        })
        const shown = led.state(steps.length).signal
        if (on.size === 0) assert.equal(shown, 'off')
        else {
          const ranks = [...on].map((name) => rankOf(ledSignals[name].priority, 'system'))
          const { priority } = ledSignals[shown as LedSignalName]
          assert.equal(rankOf(priority, 'system'), Math.max(...ranks))
        }
      }),
      runs,
    )
  })
})

describe('the application and the LED', () => {
  const status = {
    active: true,
    color: 0xff8800,
    pattern: 'blink',
    period: 0,
    speed: 'slow',
    priority: 'normal',
  } as const

  it('has what it controls, whatever the system shows, and gives it back', () => {
    const led = new LedEngine()
    led.signal('listening_mode', true, 0)
    led.color(0x123456, 1)
    assert.equal(led.state(1).signal, 'listening_mode')
    led.control(true, 2)
    assert.equal(colorAt(led.state(2), 2), 0x123456)
    led.control(false, 3)
    assert.equal(led.state(3).signal, 'listening_mode')
  })

  it('shows a status by priority; the system wins ties', () => {
    const led = new LedEngine()
    led.signal('cloud_connected', true, 0)
    led.applicationStatus('a', status, 1)
    assert.equal(led.state(1).signal, 'cloud_connected')
    led.applicationStatus('a', { ...status, priority: 'important' }, 2)
    assert.equal(led.state(2).words, 'blinking #ff8800')
    assert.equal(led.state(2).period, 500)
    led.applicationStatus('a', { ...status, active: false }, 3)
    assert.equal(led.state(3).signal, 'cloud_connected')
  })

  it('keeps the LED during an update only when it controls it', () => {
    const led = new LedEngine()
    led.updating(true, 0)
    assert.equal(led.state(0).signal, 'firmware_update')
    led.control(true, 1)
    assert.equal(led.state(1).signal, 'application')
  })

  it('leaves nothing behind', () => {
    const led = new LedEngine()
    led.applicationStatus('a', { ...status, priority: 'critical' }, 0)
    led.control(true, 0)
    led.clearApplication()
    assert.equal(led.state(1).signal, 'off')
  })
})

describe('LED moments', () => {
  it('toggles with every chunk of an update', () => {
    const led = new LedEngine()
    led.updating(true, 0)
    const seen = [0, 1, 2, 3].map((now) => {
      if (now > 0) led.updateProgress(now)
      return colorAt(led.state(now), now)
    })
    assert.deepEqual(seen, [0xff00ff, 0, 0xff00ff, 0])
    led.updating(false, 4)
    assert.equal(led.state(4).signal, 'off')
  })

  const failures = [
    ['error', 0xff0000],
    ['handshake', 0xff0000],
    ['decryption', 0xff6000],
    ['authentication', 0xff00ff],
  ] as const
  for (const [kind, color] of failures) {
    it(`blinks once for a failure of kind ${kind}, then shows what was`, () => {
      const led = new LedEngine()
      led.signal('cloud_connecting', true, 0)
      led.failure(kind, 1000)
      assert.equal(colorAt(led.state(1000), 1249), color)
      assert.equal(colorAt(led.state(1000), 1250), 0)
      assert.equal(led.nextChange(1000), 1500)
      assert.equal(led.state(1500).signal, 'cloud_connecting')
      assert.equal(led.nextChange(1500), undefined)
    })
  }

  it('shows the rainbow, 100 ms a colour, until it is switched off', () => {
    const led = new LedEngine()
    led.signal('cloud_connected', true, 0)
    led.rainbow(true, 0)
    const state = led.state(0)
    assert.deepEqual(
      [0, 100, 600, 700].map((now) => colorAt(state, now)),
      [0xee82ee, 0x4b0082, 0xff0000, 0xee82ee],
    )
    assert.equal(durationOf(rainbowSteps), 700)
    led.rainbow(false, 900)
    assert.equal(led.state(900).signal, 'cloud_connected')
  })

  it('shows SOS and the code of a panic above everything', () => {
    const led = new LedEngine()
    led.control(true, 0)
    const duration = led.panic(1, 0)
    assert.equal(led.state(0).words, 'red SOS')
    // 3 short of 250, 3 long of 400, 3 short of 250, 900, one blink of 600, 800; twice.
    assert.equal(duration, 2 * (750 + 1200 + 750 + 900 + 600 + 800))
    assert.equal(duration, durationOf(panicSteps(1)))
    assert.equal(colorAt(led.state(0), 149), 0xff0000)
    assert.equal(colorAt(led.state(0), 150), 0)
  })
})
