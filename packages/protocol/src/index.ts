/** The device protocol: CoAP, secure channels, messages, sessions and transfers of both ends. */
export type { Block } from './coap/block.ts'
export { decodeBlock, encodeBlock } from './coap/block.ts'
export { decodeMessage, encodeEmptyAck, encodeMessage, encodePing, encodeReset } from './coap/codec.ts'
export type { CoapErrorCode } from './coap/error.ts'
export { CoapError } from './coap/error.ts'
export type { CoapMessage, CoapOption, CoapType } from './coap/message.ts'
export { coapType, code, codeName, isErrorCode, isRequestCode, noBytes, optionNumber } from './coap/message.ts'
export {
  findOption,
  findUint,
  pathLetter,
  readUint,
  textOption,
  textOptions,
  uintOption,
  uriPath,
} from './coap/options.ts'
export { ProtocolError } from './protocol-error.ts'
export type { TcpClientChannelHandlers, TcpClientChannelOptions, TcpClientEstablished } from './tcp/client-channel.ts'
export { TcpClientChannel } from './tcp/client-channel.ts'
export type { Identity } from './tcp/handshake.ts'
export type { HandshakeStep } from './tcp/handshake-step.ts'
export { handshakeReadTimeout, handshakeStepHints, handshakeTimeout } from './tcp/handshake-step.ts'
export {
  checkServerKey,
  devicePrivateKeyDer,
  devicePublicKeyDer,
  devicePublicKeyFromDer,
  devicePublicKeySize,
  generateDeviceKey,
  generateServerKey,
  isDevicePublicKey,
  loadDeviceKey,
  loadServerKey,
  serverPublicKeyDer,
  serverPublicKeyFromDer,
  serverPublicKeySize,
} from './tcp/keys.ts'
export { defaultMaxInboundFrame, defaultMaxMessageSize } from './tcp/limits.ts'
export type { TcpServerChannelHandlers, TcpServerChannelOptions, TcpServerEstablished } from './tcp/server-channel.ts'
export { TcpServerChannel } from './tcp/server-channel.ts'
export type { Millis } from './time.ts'
