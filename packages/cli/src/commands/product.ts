import { platformById, platformByName, platforms } from '@aloe/firmware'
import { type Command, Option } from 'commander'
import { CliError, exitCode } from '../cli-error.ts'
import { connectAsUser } from '../cloud-client.ts'
import { type CommonOptions, cloudOption, makeCommand, makeGroup, outputOf } from '../command.ts'
import { printable, table } from '../output.ts'
import type { Product } from '../release-client.ts'
import { askCloud } from '../update-client.ts'

export function productCommand(): Command {
  return makeGroup('product', 'list and create products', [listCommand(), createCommand()])
}

function listCommand(): Command {
  return makeCommand({
    usage: 'list',
    summary: 'list the products that you work on',
    examples: [{ line: 'aloe product list', what: 'with their ids, slugs and platforms' }],
  })
    .addOption(cloudOption())
    .action(async (options: CommonOptions) => {
      const client = await connectAsUser(options)
      const { products } = (await askCloud(client, 'get', '/v1/products', 'list the products')) as {
        products: Product[]
      }
      outputOf(options).result(products, (colors) => {
        if (products.length === 0) return 'There are no products yet. Make one with: aloe product create <name>'
        const rows = products.map(({ id, slug, name, platform_id }) => {
          const platform = platformById(platform_id)?.name ?? String(platform_id)
          return [String(id), printable(slug), printable(name), platform]
        })
        return table([['ID', 'SLUG', 'NAME', 'PLATFORM'], ...rows], colors)
      })
    })
}

interface CreateOptions extends CommonOptions {
  readonly platform: string
  readonly description?: string
}

function createCommand(): Command {
  return makeCommand({
    usage: 'create <name>',
    summary: 'create a product, which is yours then',
    examples: [
      { line: 'aloe product create "Garden lamps"', what: 'of Linux devices' },
      { line: 'aloe product create Meters --platform boron', what: 'of Borons' },
    ],
  })
    .addOption(cloudOption())
    .addOption(new Option('--platform <platform>', 'what its devices are, by name or id').default('linux'))
    .option('--description <text>', 'what it is')
    .action(async (name: string, options: CreateOptions) => {
      const platform = platformByName(options.platform) ?? platformById(Number(options.platform))
      if (!platform) {
        throw new CliError(`There is no platform ${JSON.stringify(options.platform)}.`, {
          code: exitCode.usage,
          hint: `There are ${platforms.map((each) => each.name).join(', ')}.`,
        })
      }
      const client = await connectAsUser(options)
      const { description } = options
      const data = { product: { name, platform_id: platform.id, ...(description !== undefined && { description }) } }
      const { product } = (await askCloud(client, 'post', '/v1/products', 'create the product', { data })) as {
        product: Product
      }
      outputOf(options).result(product, (colors) => {
        return `${colors.green('✔')} ${colors.bold(printable(product.slug))} is product ${product.id}`
      })
    })
}
