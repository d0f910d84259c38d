/** TensorFlow's dtype numbers (tensorflow/core/framework/types.proto), keyed by the names used here. */
export const DTYPE_NUMBER = {
  float32: 1,
  float64: 2,
  int32: 3,
  uint8: 4,
  int16: 5,
  int8: 6,
  int64: 9,
  bool: 10,
  bfloat16: 14,
  half: 19,
  resource: 20,
  uint64: 23,
} as const;

export type DType = keyof typeof DTYPE_NUMBER;

const NAME_BY_NUMBER = new Map<number, DType>(
  Object.entries(DTYPE_NUMBER).map(([name, number]) => [number, name as DType]),
);

/** Throws on a dtype number that isn't in the table. */
export function dtypeFromNumber(number: number): DType {
  const name = NAME_BY_NUMBER.get(number);
  if (name === undefined) throw new Error(`dtype: TensorFlow's number ${number} is unknown`);
  return name;
}
