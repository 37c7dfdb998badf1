/** Devices' keys, and their serial numbers (cloud-api.md 1.3). */

import { platformById } from '@aloe/firmware'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { type DeviceRecord, deviceId } from '../../devices/device.ts'
import { readPublicKey } from '../../devices/keys.ts'
import type { Actor } from '../../devices/registry.ts'
import { mayOnProduct } from '../../identity/access-rules.ts'
import type { Scope } from '../../identity/scopes.ts'
import { importDevices } from '../../products/import.ts'
import type { ProductRecord } from '../../products/products.ts'
import { owner } from '../access.ts'
import { callerOf, userOf } from '../authentication.ts'
import type { ApiContext } from '../context.ts'
import { badRequest, forbidden, notFound, tooMany } from '../errors.ts'
import { type ApiServer, NumberLike, OptionalText, pathOf, readInteger } from '../schemas.ts'

const Provisioning = Type.Object({
  publicKey: OptionalText(8_192),
  algorithm: OptionalText(16),
  deviceID: OptionalText(100),
  product_id: Type.Optional(Type.Union([NumberLike, Type.Null()])),
  serial_number: OptionalText(200),
})

export function provisioningRoutes(app: ApiServer, context: ApiContext): void {
  const { registry, gateway, products, identity } = context
  const may = (request: FastifyRequest, scope: Scope, product: ProductRecord): boolean =>
    mayOnProduct(callerOf(request), scope, product, identity.teams).ok

  app.post(
    '/v1/provisioning/:id',
    { schema: { params: pathOf('id'), body: Provisioning }, config: { access: owner('devices:provision') } },
    async (request) => {
      const { publicKey, algorithm, serial_number } = request.body
      if (!publicKey) throw badRequest('"publicKey" is required')
      const key = readPublicKey(publicKey)
      if (algorithm !== undefined && algorithm !== key.algorithm) {
        throw badRequest(`The key is of algorithm "${key.algorithm}", not "${algorithm}"`)
      }
      // What the CLI calls a product is a product of this cloud, or a platform.
      const number = readInteger(request.body.product_id)
      const product = number === undefined ? undefined : products.get(number)
      if (product && !may(request, 'devices:import', product)) throw forbidden('You have no access to this product')
      const platformId = product?.platformId ?? (number !== undefined && platformById(number) ? number : undefined)
      const known = registry.get(deviceId(request.params.id) ?? '')
      const device = await registry.provision(request.params.id, key, actorFor(request, known), platformId)
      if (serial_number !== undefined && serial_number !== '') await registry.setSerialNumber(device.id, serial_number)
      const inTeam = (of: ProductRecord, userId: string) => identity.teams.roleOf(of, userId) !== undefined
      if (product) {
        const importer = { registry, devices: products.devices, inTeam }
        const { updatedDeviceIds, existingDeviceIds } = await importDevices(
          product,
          [{ identifier: device.id }],
          importer,
        )
        if (updatedDeviceIds.length + existingDeviceIds.length === 0) {
          throw badRequest(
            'The key is registered, but the device cannot be of this product: it is of another, or of another platform',
          )
        }
      }
      context.audit(request, 'device.provision', device.id, product ? { product: product.id } : {})
      // Whoever is connected has shown the old key.
      if (known?.publicKey && known.publicKey !== device.publicKey) {
        gateway.disconnect(device.id, 'its registered key was replaced')
      }
      return { ok: true }
    },
  )

  /** A device of a product that nobody owns is in the hands of the product's team, and in those of nobody else. */
  function actorFor(request: FastifyRequest, device: DeviceRecord | undefined): Actor {
    const user = userOf(request)
    const product = device?.memberOf == null ? undefined : products.get(device.memberOf)
    if (!product || device?.ownerId !== null || user.administrator) return user
    if (!may(request, 'devices:provision', product)) {
      throw forbidden('The device belongs to a product: its team registers its key')
    }
    return { id: user.id, administrator: true }
  }

  app.get(
    '/v1/serial_numbers/:serial',
    { schema: { params: pathOf('serial') }, config: { access: owner('devices:get') } },
    async (request) => {
      const { serial } = request.params
      const wait = context.rates.count('serialNumbers', request.ip, context.now(), userOf(request).id)
      if (wait > 0) throw tooMany(wait)
      const device = registry.serialNumbered(serial)
      if (!device || !mayKnow(request, device)) throw notFound('No device has this serial number')
      return {
        ok: true,
        serial_number: device.serialNumber,
        // Documents and clients spell it differently.
        deviceID: device.id,
        device_id: device.id,
        platform_id: device.platformId,
        iccid: device.describe?.iccid ?? null,
      }
    },
  )

  /** The owner, the team of its product, and everybody for a device of nobody: who sets it up reads it off the label. */
  function mayKnow(request: FastifyRequest, device: DeviceRecord): boolean {
    if (device.ownerId === userOf(request).id) return true
    const product = device.memberOf === null ? undefined : products.get(device.memberOf)
    if (product) return may(request, 'devices:get', product)
    return device.ownerId === null
  }
}
