/** Constants of the API, each under its Device OS name. */

// Pins: A0 … A5 are D19 … D14, D7 is the on-board LED, as on Gen 3 boards.
export const pins = {
  D0: 0,
  D1: 1,
  D2: 2,
  D3: 3,
  D4: 4,
  D5: 5,
  D6: 6,
  D7: 7,
  D8: 8,
  D9: 9,
  D10: 10,
  D11: 11,
  D12: 12,
  D13: 13,
  D14: 14,
  D15: 15,
  D16: 16,
  D17: 17,
  D18: 18,
  D19: 19,
  A0: 19,
  A1: 18,
  A2: 17,
  A3: 16,
  A4: 15,
  A5: 14,
} as const

export const levels = { LOW: 0, HIGH: 1 } as const

export const pinModes = {
  INPUT: 'INPUT',
  OUTPUT: 'OUTPUT',
  INPUT_PULLUP: 'INPUT_PULLUP',
  INPUT_PULLDOWN: 'INPUT_PULLDOWN',
} as const

export const publishFlags = {
  PUBLIC: 'PUBLIC',
  PRIVATE: 'PRIVATE',
  NO_ACK: 'NO_ACK',
  WITH_ACK: 'WITH_ACK',
} as const

/** Types of cloud variables. */
export const variableTypes = { BOOLEAN: 'bool', INT: 'int32', STRING: 'string', DOUBLE: 'double' } as const

/** modules-and-platforms.md 6.3 */
export const resetReasonConstants = {
  RESET_REASON_NONE: 0,
  RESET_REASON_UNKNOWN: 10,
  RESET_REASON_PIN_RESET: 20,
  RESET_REASON_POWER_MANAGEMENT: 30,
  RESET_REASON_POWER_DOWN: 40,
  RESET_REASON_POWER_BROWNOUT: 50,
  RESET_REASON_WATCHDOG: 60,
  RESET_REASON_UPDATE: 70,
  RESET_REASON_UPDATE_ERROR: 80,
  RESET_REASON_UPDATE_TIMEOUT: 90,
  RESET_REASON_FACTORY_RESET: 100,
  RESET_REASON_SAFE_MODE: 110,
  RESET_REASON_DFU_MODE: 120,
  RESET_REASON_PANIC: 130,
  RESET_REASON_USER: 140,
  RESET_REASON_CONFIG_UPDATE: 150,
} as const

/** Event masks and parameters (modules-and-platforms.md 6.4). */
export const systemEventConstants = {
  setup_begin: 1 << 1,
  setup_update: 1 << 2,
  setup_end: 1 << 3,
  network_credentials: 1 << 4,
  network_status: 1 << 5,
  cloud_status: 1 << 6,
  button_status: 1 << 7,
  firmware_update: 1 << 8,
  firmware_update_pending: 1 << 9,
  reset_pending: 1 << 10,
  reset: 1 << 11,
  button_click: 1 << 12,
  button_final_click: 1 << 13,
  time_changed: 1 << 14,
  low_battery: 1 << 15,
  out_of_memory: 1 << 18,
  all_events: 0x7fffffff,
  firmware_update_failed: -1,
  firmware_update_begin: 0,
  firmware_update_complete: 1,
  firmware_update_progress: 2,
  cloud_status_disconnected: 0,
  cloud_status_connecting: 1,
  cloud_status_handshake: 2,
  cloud_status_session_resume: 3,
  cloud_status_connected: 8,
  cloud_status_disconnecting: 9,
  time_changed_manually: 0,
  time_changed_sync: 1,
} as const

export const timeFormats = {
  TIME_FORMAT_DEFAULT: '%a %b %e %H:%M:%S %Y',
  TIME_FORMAT_ISO8601_FULL: '%Y-%m-%dT%H:%M:%S%z',
} as const

/** modules-and-platforms.md 6.1 */
export const ledConstants = {
  RGB_COLOR_BLUE: 0x0000ff,
  RGB_COLOR_GREEN: 0x00ff00,
  RGB_COLOR_CYAN: 0x00ffff,
  RGB_COLOR_RED: 0xff0000,
  RGB_COLOR_MAGENTA: 0xff00ff,
  RGB_COLOR_YELLOW: 0xffff00,
  RGB_COLOR_WHITE: 0xffffff,
  RGB_COLOR_GRAY: 0x1f1f1f,
  RGB_COLOR_ORANGE: 0xff6000,
  LED_PATTERN_SOLID: 'solid',
  LED_PATTERN_BLINK: 'blink',
  LED_PATTERN_FADE: 'fade',
  LED_SPEED_SLOW: 'slow',
  LED_SPEED_NORMAL: 'normal',
  LED_SPEED_FAST: 'fast',
  LED_PRIORITY_BACKGROUND: 'background',
  LED_PRIORITY_NORMAL: 'normal',
  LED_PRIORITY_IMPORTANT: 'important',
  LED_PRIORITY_CRITICAL: 'critical',
} as const
