/** The measured cloud: as `aloe up` starts it, on free ports, with open enrolment. */
import { startCloud } from '@aloe/cloud'
import { answer } from './answers.ts'

const [dataDir = '', password = '', udpPort = '0'] = process.argv.slice(2)
const cloud = await startCloud({
  dataDir,
  httpPort: 0,
  tcpPort: 0,
  udpPort: Number(udpPort),
  releases: [],
  openEnrolment: true,
  allowPrivateWebhooks: ['127.0.0.1'],
  admin: { username: 'bench', password },
})
answer(
  { connected: () => cloud.connectedDevices(), close: () => cloud.close() },
  { httpUrl: cloud.httpUrl, tcpPort: cloud.tcpPort, udpPort: cloud.udpPort },
)
