/** Why a device started again: codes by their names, as in vitals and `spark/device/last_reset` (modules-and-platforms.md 6.3). */
export const resetReason = {
  unknown: 10,
  pin_reset: 20,
  power_management: 30,
  power_down: 40,
  power_brownout: 50,
  watchdog: 60,
  update: 70,
  update_error: 80,
  update_timeout: 90,
  factory_reset: 100,
  safe_mode: 110,
  dfu_mode: 120,
  panic: 130,
  user: 140,
  config_update: 150,
} as const
