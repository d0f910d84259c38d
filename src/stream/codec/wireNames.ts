/** Outputs, encodings, dtypes and channel orders: our names, the contract's names and numbers. */
import type { WireDType } from '../../contract/encodedTensor.js';
import type { Encoding, OutputName } from '../../contract/outputs.js';

/** An enum of teacher.proto. Values unknown to this version are undefined, as is `..._UNSPECIFIED`. */
interface WireEnum<Name extends string, WireName extends string> {
  readonly toWire: Readonly<Record<Name, WireName>>;
  /** By the contract's name. */
  readonly number: Readonly<Record<WireName, number>>;
  fromWire(wireName: unknown): Name | undefined;
  fromNumber(number: number): Name | undefined;
}

export const OUTPUT = wireEnum<OutputName>()({
  logits: ['OUTPUT_LOGITS', 1],
  embedding: ['OUTPUT_EMBEDDING', 2],
  feature_norm: ['OUTPUT_FEATURE_NORM', 3],
  embedding_scale: ['OUTPUT_EMBEDDING_SCALE', 4],
  classifier: ['OUTPUT_CLASSIFIER', 5],
  aux_norm: ['OUTPUT_AUX_NORM', 6],
});

export const ENCODING = wireEnum<Encoding>()({
  fp32: ['ENCODING_FP32', 1],
  fp16: ['ENCODING_FP16', 2],
  int8: ['ENCODING_INT8', 3],
});

export const DTYPE = wireEnum<WireDType>()({
  fp32: ['DTYPE_FP32', 1],
  fp16: ['DTYPE_FP16', 2],
  int8: ['DTYPE_INT8', 3],
});

export const CHANNEL_ORDER = wireEnum<'rgb' | 'bgr'>()({
  rgb: ['CHANNEL_ORDER_RGB', 1],
  bgr: ['CHANNEL_ORDER_BGR', 2],
});

function wireEnum<Name extends string>() {
  return <const WireName extends string>(
    table: Readonly<Record<Name, readonly [WireName, number]>>,
  ): WireEnum<Name, WireName> => {
    const rows = Object.entries<readonly [WireName, number]>(table) as [
      Name,
      readonly [WireName, number],
    ][];
    const byWireName = new Map<unknown, Name>(rows.map(([name, [wireName]]) => [wireName, name]));
    const byNumber = new Map(rows.map(([name, [, number]]) => [number, name]));
    return {
      toWire: Object.fromEntries(rows.map(([name, [wireName]]) => [name, wireName])) as Record<
        Name,
        WireName
      >,
      number: Object.fromEntries(rows.map(([, row]) => row)) as Record<WireName, number>,
      fromWire: (wireName) => byWireName.get(wireName),
      fromNumber: (number) => byNumber.get(number),
    };
  };
}
