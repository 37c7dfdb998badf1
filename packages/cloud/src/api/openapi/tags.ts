/** The chapters of the API. */

export const tags = [
  { name: 'Login and tokens' },
  { name: 'Users' },
  { name: 'Devices' },
  { name: 'Events' },
  { name: 'Firmware', description: 'Compiling, flashing, Device OS versions' },
  { name: 'Products' },
  { name: 'Integrations', description: 'Webhooks and their deliveries' },
  { name: 'Vitals' },
  { name: 'Aloe', description: 'What Particle’s cloud has not' },
  { name: 'Not here', description: 'Parts of Particle’s API that Aloe answers with an empty list or with 501' },
] as const

export type Tag = (typeof tags)[number]['name']

/** The first that matches. */
const chapters: readonly (readonly [RegExp, Tag])[] = [
  [/\/(ledgers|secrets|logic|libraries|service_agreements|unprotect|backup_files)(\/|$)/, 'Not here'],
  [/^\/(health|metrics|\.well-known)|\/aloe(\/|$)|rollout/, 'Aloe'],
  [/^\/oauth|access_tokens|\/clients/, 'Login and tokens'],
  [/\/diagnostics/, 'Vitals'],
  [/\/events/, 'Events'],
  [/\/(binaries|build_targets|device-os)|products\/:\w+\/firmware/, 'Firmware'],
  [/\/(integrations|webhooks)/, 'Integrations'],
  [/^\/v1\/users?(\/(?!products)|$)/, 'Users'],
  [/^\/v1\/(products|user\/products)/, 'Products'],
  [/^\/v1\/(devices|device_claims|provisioning|serial_numbers)/, 'Devices'],
]

export function tagOf(url: string): Tag {
  return chapters.find(([pattern]) => pattern.test(url))?.[1] ?? 'Not here'
}
