/** Outputs, encodings and dtypes: the contract's names and ours, both ways. */
import type { WireDType } from '../contract/encodedTensor.js';
import type { Encoding, OutputName } from '../contract/outputs.js';
import type { ChannelOrder } from './generated/cirkd/teacher/v1/ChannelOrder.js';
import type { DType } from './generated/cirkd/teacher/v1/DType.js';
import type { Encoding as EncodingOnWire } from './generated/cirkd/teacher/v1/Encoding.js';
import type { Output } from './generated/cirkd/teacher/v1/Output.js';

export const OUTPUT_TO_WIRE = {
  logits: 'OUTPUT_LOGITS',
  embedding: 'OUTPUT_EMBEDDING',
  feature_norm: 'OUTPUT_FEATURE_NORM',
  embedding_scale: 'OUTPUT_EMBEDDING_SCALE',
  classifier: 'OUTPUT_CLASSIFIER',
} as const satisfies Record<OutputName, Output>;

export const ENCODING_TO_WIRE = {
  fp32: 'ENCODING_FP32',
  fp16: 'ENCODING_FP16',
  int8: 'ENCODING_INT8',
} as const satisfies Record<Encoding, EncodingOnWire>;

export const DTYPE_TO_WIRE = {
  fp32: 'DTYPE_FP32',
  fp16: 'DTYPE_FP16',
  int8: 'DTYPE_INT8',
} as const satisfies Record<WireDType, DType>;

export const CHANNEL_ORDER_TO_WIRE = {
  rgb: 'CHANNEL_ORDER_RGB',
  bgr: 'CHANNEL_ORDER_BGR',
} as const satisfies Record<'rgb' | 'bgr', ChannelOrder>;

/** Undefined for a name that this version doesn't know, and for `..._UNSPECIFIED`. */
export const outputFromWire = reverse<OutputName>(OUTPUT_TO_WIRE);
export const encodingFromWire = reverse<Encoding>(ENCODING_TO_WIRE);
export const dtypeFromWire = reverse<WireDType>(DTYPE_TO_WIRE);
export const channelOrderFromWire = reverse<'rgb' | 'bgr'>(CHANNEL_ORDER_TO_WIRE);

function reverse<Name extends string>(
  toWire: Readonly<Record<Name, string>>,
): (onWire: unknown) => Name | undefined {
  const names = new Map<unknown, Name>(
    Object.entries(toWire).map(([name, wire]) => [wire, name as Name]),
  );
  return (onWire) => names.get(onWire);
}
