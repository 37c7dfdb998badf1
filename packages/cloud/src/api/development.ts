/** Whether the owner of a product's device may put an application of their own on it. */
import type { DeviceRecord } from '../devices/device.ts'
import type { ApiContext } from './context.ts'
import type { DeviceForm } from './device-forms.ts'
import { forbidden } from './errors.ts'

/**
 * The owner of a product's device flashes it when the product says that it is for development (cloud-api.md 5.4).
 * @throws ApiError 403 on one's own routes, for a device that is not
 */
export function checkDevelopment(device: DeviceRecord, form: DeviceForm, { products }: Pick<ApiContext, 'products'>) {
  const member = form.ofProduct ? undefined : products.devices.of(device.id)
  if (!member || member.development) return
  throw forbidden(
    `The device belongs to product ${member.productId}: mark it as a development device, or flash it through the product`,
  )
}
