/** Routes that exist twice: for one's own devices, and for those of a product (cloud-api.md 0.5). One handler each. */
import type { FastifyRequest } from 'fastify'
import type { DeviceRecord } from '../devices/device.ts'
import type { Scope } from '../identity/scopes.ts'
import { type Access, ofProduct, owner } from './access.ts'
import type { ApiContext } from './context.ts'

export interface DeviceForm {
  /** What the route's path begins with; `:id` is the device. */
  readonly path: string
  readonly access: (scope: Scope) => Access
  /** The device that the request names. @throws ApiError when it is not the caller's, or not in the product */
  readonly device: (request: FastifyRequest) => DeviceRecord
  readonly ofProduct: boolean
}

export function deviceForms(context: Pick<ApiContext, 'device' | 'productDevice'>): readonly [DeviceForm, DeviceForm] {
  return [
    {
      path: '/v1/devices/:id',
      access: owner,
      device: (request) => context.device(request, idOf(request)),
      ofProduct: false,
    },
    {
      path: '/v1/products/:product/devices/:id',
      access: ofProduct,
      device: (request) => context.productDevice(request, idOf(request)),
      ofProduct: true,
    },
  ]
}

function idOf(request: FastifyRequest): string {
  return (request.params as { id: string }).id
}
