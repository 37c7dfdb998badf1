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
export type { HandshakeLimits } from './dtls/admission.ts'
export { defaultHandshakeLimits } from './dtls/admission.ts'
export type { DtlsClientHandlers, DtlsClientOptions, DtlsDialect } from './dtls/client.ts'
export { DtlsClient, maxFruitlessResumes } from './dtls/client.ts'
export type { DropCounters, DropReason } from './dtls/drops.ts'
export {
  ecPrivateKeyDer,
  ecPublicKeyDer,
  ecPublicKeyFromDer,
  ecPublicKeySize,
  generateEcKey,
  isEcPublicKey,
  loadEcPrivateKey,
} from './dtls/ec-keys.ts'
export type { DtlsHandshakeStep } from './dtls/handshake-step.ts'
export { dtlsHandshakeStepHints } from './dtls/handshake-step.ts'
export { DtlsListener } from './dtls/listener.ts'
export type { DtlsListenerHandlers, DtlsListenerOptions, SessionKey } from './dtls/listener-options.ts'
export { cidSize, maxPlaintext as maxDtlsMessageSize } from './dtls/profile.ts'
export type { ParsedDatagram } from './dtls/record.ts'
export { parseDatagram } from './dtls/record.ts'
export { DtlsSession, defaultSequenceReserve } from './dtls/session.ts'
export { cidNode } from './dtls/session-table.ts'
export type { JsonValue } from './messages/cbor.ts'
export { cborToJson, decodeCbor, encodeCbor, jsonToCbor } from './messages/cbor.ts'
export { contentFormat, dataAsCbor, dataAsText, isStructured, isTextual } from './messages/content-format.ts'
export type { ServerMoved } from './messages/control.ts'
export { decodeServerMoved, encodeKeyChange, encodeServerMoved, encodeSignal } from './messages/control.ts'
export type { Describe, DescribeKind } from './messages/describe.ts'
export {
  decodeDescribe,
  describeKindOf,
  describeType,
  encodeDescribeGet,
  encodeDescribePost,
  encodeDescribeResponse,
} from './messages/describe.ts'
export type { ApplicationDescribe } from './messages/describe-application.ts'
export { encodeApplicationDescribe } from './messages/describe-application.ts'
export { describeFromJson, describeToJson } from './messages/describe-system-json.ts'
export { decodeSystemDescribe, encodeSystemDescribe } from './messages/describe-system-protobuf.ts'
export type { MessageErrorCode } from './messages/error.ts'
export { MessageError } from './messages/error.ts'
export type { DeviceEvent, EventFields } from './messages/event.ts'
export {
  decodeEvent,
  defaultTtl,
  encodeEventDelivery,
  encodeEventPublish,
  isEventPublish,
  maxEventNameSize,
} from './messages/event.ts'
export type { FunctionCall } from './messages/function.ts'
export {
  decodeFunctionCall,
  decodeFunctionReturn,
  encodeFunctionCall,
  encodeFunctionReturn,
  maxNameSize,
} from './messages/function.ts'
export type { Goodbye } from './messages/goodbye.ts'
export {
  cloudReason,
  decodeGoodbye,
  encodeGoodbye,
  encodeGoodbyePayload,
  networkReason,
} from './messages/goodbye.ts'
export type { Hello, HelloFields, HelloSystem } from './messages/hello.ts'
export {
  decodeHello,
  encodeHello,
  encodeHelloPayload,
  encodeServerHello,
  helloFlag,
  maxMessageSizeOf,
  noProduct,
} from './messages/hello.ts'
export type { Subscription, SubscriptionFormat, SubscriptionScope } from './messages/subscription.ts'
export { decodeSubscribe, encodeSubscribe, subscriptionMatches } from './messages/subscription.ts'
export { cloudSystemEvent, deviceSystemEvent, isSystemEvent } from './messages/system-events.ts'
export { decodeTimeResponse, encodeTimeRequest, encodeTimeResponse } from './messages/time.ts'
export type { VariableType, VariableValue } from './messages/variable.ts'
export {
  decodeVariable,
  decodeVariableRequest,
  encodeVariable,
  encodeVariableRequest,
  encodeVariableResponse,
  maxVariableSize,
  variableTypeCodes,
} from './messages/variable.ts'
export type { Vital } from './messages/vitals.ts'
export { decodeVitals, encodeVitals, vitalSources } from './messages/vitals.ts'
export { ProtocolError } from './protocol-error.ts'
export type { CloudSessionHandlers, CloudSessionOptions } from './session/cloud-options.ts'
export { CloudSession } from './session/cloud-session.ts'
export type { UpdateHandle, UpdateOptions } from './session/cloud-updates.ts'
export type { Delivery } from './session/delivery.ts'
export { deliveriesFor } from './session/delivery.ts'
export type {
  AnnouncedPart,
  Announcement,
  ApplicationParts,
  DeviceSessionHandlers,
  DeviceSessionOptions,
  PublishOptions,
} from './session/device-options.ts'
export { DeviceSession } from './session/device-session.ts'
export type { PingLimits } from './session/pinger.ts'
export type { RequestFailure, RequestResult } from './session/result.ts'
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
export type { ChunkedReceiverOptions } from './transfer/chunked-receiver.ts'
export { ChunkedReceiver } from './transfer/chunked-receiver.ts'
export type { ChunkedSenderOptions } from './transfer/chunked-sender.ts'
export { ChunkedSender } from './transfer/chunked-sender.ts'
export { systemError } from './transfer/system-error.ts'
export type {
  ReceiverHandlers,
  SenderHandlers,
  TransferFailure,
  TransferLink,
  TransferResult,
  TransferStage,
  TransferStats,
  UpdateError,
  UpdateRequest,
  UpdateTarget,
} from './transfer/transfer.ts'
export { answerTimeout, idleTimeout } from './transfer/transfer.ts'
export { WindowedReceiver } from './transfer/windowed-receiver.ts'
export type { WindowedSenderOptions } from './transfer/windowed-sender.ts'
export { WindowedSender } from './transfer/windowed-sender.ts'
