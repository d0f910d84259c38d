/** Tensors on the wire: bytes with a dtype and a shape. Little-endian, row-major. */

export type WireDType = 'fp32' | 'fp16' | 'int8';

/** Encodings that a hello may request. */
export type Encoding = 'fp32' | 'fp16' | 'int8';

/** `classifier` is sent once per stream, the others per image. */
export type OutputName = 'logits' | 'embedding' | 'feature_norm' | 'embedding_scale' | 'classifier';

export const WIRE_DTYPE_BYTES: Readonly<Record<WireDType, number>> = { fp32: 4, fp16: 2, int8: 1 };

export interface EncodedTensor {
  readonly dtype: WireDType;
  readonly shape: readonly number[];
  /** Owned by this tensor alone, which fills it from offset 0, so it can be transferred to a thread. */
  readonly data: ArrayBuffer;
}
