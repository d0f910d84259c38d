// Original file: proto/cirkd/teacher/v1/teacher.proto

export const DType = {
  DTYPE_UNSPECIFIED: 'DTYPE_UNSPECIFIED',
  DTYPE_FP32: 'DTYPE_FP32',
  DTYPE_FP16: 'DTYPE_FP16',
  DTYPE_INT8: 'DTYPE_INT8',
} as const;

export type DTypeInput =
  | 'DTYPE_UNSPECIFIED'
  | 0
  | 'DTYPE_FP32'
  | 1
  | 'DTYPE_FP16'
  | 2
  | 'DTYPE_INT8'
  | 3

export type DType = typeof DType[keyof typeof DType]
