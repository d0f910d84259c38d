/** Tensors on the wire: bytes with a dtype and a shape. Little-endian, row-major. */

export type WireDType = 'fp32' | 'fp16' | 'int8';

export const WIRE_DTYPE_BYTES: Readonly<Record<WireDType, number>> = { fp32: 4, fp16: 2, int8: 1 };

export interface EncodedTensor {
  readonly dtype: WireDType;
  readonly shape: readonly number[];
  /** Owned by this tensor alone, which fills it from offset 0, so it can be transferred to a thread. */
  readonly data: ArrayBuffer;
}
