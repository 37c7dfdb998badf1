/** All that is about products and the ways of devices to their owners. */
import type { ApiContext } from '../context.ts'
import type { ApiServer } from '../schemas.ts'
import { claimRoutes } from './claims.ts'
import { orgRoutes } from './orgs.ts'
import { productDeviceRoutes } from './product-devices.ts'
import { productFirmwareRoutes } from './product-firmware.ts'
import { productGroupRoutes } from './product-groups.ts'
import { productRoutes } from './products.ts'
import { provisioningRoutes } from './provisioning.ts'

export function registerProducts(app: ApiServer, context: ApiContext): void {
  productRoutes(app, context)
  productDeviceRoutes(app, context)
  productGroupRoutes(app, context)
  productFirmwareRoutes(app, context)
  claimRoutes(app, context)
  provisioningRoutes(app, context)
  orgRoutes(app, context)
}
