// Original file: proto/cirkd/teacher/v1/teacher.proto

export const Encoding = {
  ENCODING_UNSPECIFIED: 'ENCODING_UNSPECIFIED',
  ENCODING_FP32: 'ENCODING_FP32',
  ENCODING_FP16: 'ENCODING_FP16',
  ENCODING_INT8: 'ENCODING_INT8',
} as const;

export type EncodingInput =
  | 'ENCODING_UNSPECIFIED'
  | 0
  | 'ENCODING_FP32'
  | 1
  | 'ENCODING_FP16'
  | 2
  | 'ENCODING_INT8'
  | 3

export type Encoding = typeof Encoding[keyof typeof Encoding]
