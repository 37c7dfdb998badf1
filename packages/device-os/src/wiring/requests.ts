/** The system's side of API members. Each is named in the manifest beside the member that asks it. */
import type { ApplicationLedStatus, PublishRequest, RequestHandler } from './services.ts'

const isTrue = (value: unknown): boolean => value === true
const asNumber = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0)

export const publishRequest: RequestHandler = (services, [event]) => services.publish(event as PublishRequest)

export const connectRequest: RequestHandler = (services) => services.connect()

export const disconnectRequest: RequestHandler = (services) => services.disconnect()

export const syncTimeRequest: RequestHandler = (services) => services.syncTime()

export const keepAliveRequest: RequestHandler = (services, [seconds]) => services.setKeepAlive(asNumber(seconds))

export const vitalsRequest: RequestHandler = (services) => services.sendVitals()

export const vitalsPeriodRequest: RequestHandler = (services, [seconds]) => services.scheduleVitals(asNumber(seconds))

export const updatesRequest: RequestHandler = (services, [enabled]) => services.setUpdatesEnabled(isTrue(enabled))

export const resetEnabledRequest: RequestHandler = (services, [enabled]) => services.setResetEnabled(isTrue(enabled))

export const resetRequest: RequestHandler = (services, [data]) => services.reset(asNumber(data))

export const safeModeRequest: RequestHandler = (services) => services.enterSafeMode()

export const assetsRequest: RequestHandler = (services) => services.assets.list()

export const assetRequest: RequestHandler = (services, [name]) => services.assets.read(String(name))

export const setTimeRequest: RequestHandler = (services, [seconds]) => services.setTime(asNumber(seconds))

export const rgbControlRequest: RequestHandler = (services, [on]) => services.led.control(isTrue(on))

export const rgbColorRequest: RequestHandler = (services, [rgb]) => services.led.color(asNumber(rgb))

export const rgbBrightnessRequest: RequestHandler = (services, [value]) => services.led.brightness(asNumber(value))

export const rgbListenRequest: RequestHandler = (services, [on]) => services.led.listen(isTrue(on))

export const ledStatusRequest: RequestHandler = (services, [id, status]) =>
  services.led.status(String(id), status as ApplicationLedStatus | undefined)
