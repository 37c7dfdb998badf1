/** `npm run access-matrix`: writes docs/access-matrix.md anew, of the routes that there are now. */
import { writeFile } from 'node:fs/promises'
import { accessMatrix, matrixFile } from './access-matrix.ts'
import { startApi } from './api-fixture.ts'

const api = await startApi()
await writeFile(matrixFile, accessMatrix(api.app.routeTable))
await api.close()
