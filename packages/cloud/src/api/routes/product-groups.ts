/** Groups of a product's devices (cloud-api.md 1.7). */
import { type Static, Type } from 'typebox'
import type { GroupFields } from '../../products/product-groups.ts'
import { ofProduct } from '../access.ts'
import { productOf } from '../authentication.ts'
import type { ApiContext } from '../context.ts'
import { notFound } from '../errors.ts'
import { groupJson } from '../product-json.ts'
import { type ApiServer, OptionalText, pathOf } from '../schemas.ts'

const Fields = Type.Object({
  name: OptionalText(200),
  description: Type.Optional(Type.Union([Type.String({ maxLength: 4_096 }), Type.Null()])),
  color: Type.Optional(Type.Union([Type.String({ maxLength: 100 }), Type.Null()])),
})
const Body = Type.Intersect([Type.Object({ group: Type.Optional(Fields) }), Fields])

export function productGroupRoutes(app: ApiServer, context: ApiContext): void {
  const { groups } = context.products

  app.get(
    '/v1/products/:product/groups',
    {
      schema: { params: pathOf('product'), querystring: Type.Object({ name: OptionalText(200) }) },
      config: { access: ofProduct('groups:list') },
    },
    async (request) => {
      const part = request.query.name?.toLowerCase() ?? ''
      const found = groups.list(productOf(request).id).filter(({ name }) => name.includes(part))
      return { groups: found.map((group) => groupJson(group, context)) }
    },
  )

  app.get(
    '/v1/products/:product/groups/:group',
    { schema: { params: pathOf('product', 'group') }, config: { access: ofProduct('groups:get') } },
    async (request) => {
      const group = groups.get(productOf(request).id, request.params.group)
      if (!group) throw notFound('There is no such group in the product')
      return { group: groupJson(group, context) }
    },
  )

  app.post(
    '/v1/products/:product/groups',
    { schema: { params: pathOf('product'), body: Body }, config: { access: ofProduct('groups:create') } },
    async (request, reply) => {
      const group = await groups.create(productOf(request).id, fieldsOf(request.body.group ?? request.body))
      context.audit(request, 'group.create', group.name)
      reply.code(201)
      return { ok: true, group: groupJson(group, context) }
    },
  )

  app.put(
    '/v1/products/:product/groups/:group',
    { schema: { params: pathOf('product', 'group'), body: Body }, config: { access: ofProduct('groups:update') } },
    async (request) => {
      const changes = fieldsOf(request.body.group ?? request.body)
      const group = await groups.update(productOf(request).id, request.params.group, changes)
      context.audit(request, 'group.update', request.params.group, { ...changes })
      return { ok: true, group: groupJson(group, context) }
    },
  )

  app.delete(
    '/v1/products/:product/groups/:group',
    { schema: { params: pathOf('product', 'group') }, config: { access: ofProduct('groups:remove') } },
    async (request, reply) => {
      await groups.remove(productOf(request).id, request.params.group)
      context.audit(request, 'group.remove', request.params.group)
      reply.code(204)
    },
  )
}

function fieldsOf({ name, description, color }: Static<typeof Fields>): GroupFields {
  return {
    ...(name !== undefined && { name }),
    ...(description !== undefined && { description: description ?? '' }),
    ...(typeof color === 'string' && { color }),
  }
}
