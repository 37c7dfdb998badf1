/** One line for every route. A route may also bring its own, in its schema. */

const summaries: Readonly<Record<string, string>> = {
  'GET /health': 'Whether the cloud serves',
  'GET /metrics': 'Numbers for Prometheus: with an administrator’s token, or with the token for metrics',
  'GET /.well-known/aloe': 'What a device or a tool needs to connect',
  'POST /oauth/token': 'Log in: with a password, a second factor, a refresh token, or as an OAuth client',
  'GET /v1/access_tokens': 'List tokens, with a name and password or with a token',
  'DELETE /v1/access_tokens': 'Revoke all of one’s tokens',
  'GET /v1/access_tokens/current': 'What the token of the request is good for',
  'DELETE /v1/access_tokens/current': 'Revoke the token of the request',
  'DELETE /v1/access_tokens/:token': 'Revoke a token: to know it is enough',
  'POST /v1/users': 'Make a user',
  'GET /v1/user': 'Who one is',
  'PUT /v1/user': 'Change name, password or account information',
  'DELETE /v1/user': 'Remove oneself',
  'GET /v1/user/identify': 'Id and address of the user, for tracking',
  'GET /v1/devices': 'List one’s devices, the last connected first',
  'POST /v1/devices': 'Claim a device',
  'GET /v1/devices/:id': 'A device, by id or name',
  'PUT /v1/devices/:id': 'Flash a device, with files or the name of a known application; or change it',
  'DELETE /v1/devices/:id': 'Give a device up',
  'POST /v1/device_claims': 'Make a claim code, with which a device claims itself',
  'PUT /v1/devices/:id/ping': 'Ask whether a device answers',
  'PUT /v1/devices/:id/unprotect': 'Device protection, which Aloe has not',
  'POST /v1/provisioning/:id': 'Register the public key of a device',
  'GET /v1/devices/:id/:name': 'Read a variable',
  'POST /v1/devices/:id/:name': 'Call a function',
  'POST /v1/devices/events': 'Publish an event',
  'GET /v1/events': 'Refused: a prefix is required here',
  'GET /v1/events/': 'Refused: a prefix is required here',
  'GET /v1/events/{*}': 'Stream of one’s events, by prefix',
  'GET /v1/devices/events': 'Stream of one’s events',
  'GET /v1/devices/events/{*}': 'Stream of one’s events, by prefix',
  'GET /v1/devices/:id/events': 'Stream of a device’s events',
  'GET /v1/devices/:id/events/{*}': 'Stream of a device’s events, by prefix',
  'POST /v1/products/:product/events': 'Publish an event in a product, also as one of its devices',
  'GET /v1/products/:product/events': 'Stream of a product’s events',
  'GET /v1/products/:product/events/{*}': 'Stream of a product’s events, by prefix',
  'GET /v1/products/:product/devices/events': 'Stream of the events of a product’s devices',
  'GET /v1/products/:product/devices/events/{*}': 'Stream of the events of a product’s devices, by prefix',
  'GET /v1/products/:product/devices/:id/events': 'Stream of the events of a product’s device',
  'GET /v1/products/:product/devices/:id/events/{*}': 'Stream of the events of a product’s device, by prefix',
  'POST /v1/binaries': 'Compile sources',
  'GET /v1/binaries/:id': 'Fetch what was compiled',
  'GET /v1/build_targets': 'Versions to compile for',
  'GET /v1/device-os/versions': 'Device OS versions',
  'GET /v1/device-os/versions/:version': 'A Device OS version with its modules',
  'GET /v1/firmware/device-os/:version/:file': 'A file of a Device OS version',
  'GET /v1/diagnostics/:id': 'History of a device’s vitals, as JSON or CSV',
  'GET /v1/diagnostics/:id/last': 'The last vitals of a device',
  'POST /v1/diagnostics/:id/update': 'Ask a device for its vitals',
  'GET /v1/diagnostics/:id/metadata': 'Labels of vitals, which Aloe has not',
  'GET /v1/aloe/handshake-failures': 'Devices that were not let in, and why',
  'GET /v1/aloe/gateway': 'Counters of the gateway',
  'GET /v1/aloe/audit': 'Who did what',
  'GET /v1/devices/:id/aloe/updates': 'Flashes and healings of a device',
  'GET /v1/devices/:id/aloe/describe': 'What a device said last of its modules',
  'POST /v1/devices/:id/aloe/plan': 'What an update would send, without sending it',
}

const verbs: Readonly<Record<string, string>> = {
  GET: 'Read',
  POST: 'Add or do',
  PUT: 'Change',
  PATCH: 'Change',
  DELETE: 'Remove',
}

/** @param url with `:name` for parameters, as the route has it */
export function summaryOf(method: string, url: string): string {
  const key = `${method} ${url.replace(/\*$/, '{*}')}`
  const product = key.replace('/v1/products/:product/', '/v1/')
  const known = summaries[key]
  if (known !== undefined) return known
  const outside = summaries[product]
  if (outside !== undefined && product !== key) return `${outside} (of a product)`
  // Better than nothing, and true: what the path names.
  const words = url.split('/').filter((part) => part !== '' && part !== 'v1' && !/^[:*]/.test(part))
  return `${verbs[method] ?? method}: ${words.join(', ').replaceAll('_', ' ')}`
}
