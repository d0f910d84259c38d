// Original file: proto/cirkd/teacher/v1/teacher.proto

import type { OutputInput as _cirkd_teacher_v1_OutputInput, Output as _cirkd_teacher_v1_Output } from '../../../cirkd/teacher/v1/Output.js';
import type { DTypeInput as _cirkd_teacher_v1_DTypeInput, DType as _cirkd_teacher_v1_DType } from '../../../cirkd/teacher/v1/DType.js';
import type { Long } from '@grpc/proto-loader';

export interface TensorChunkInput {
  'id'?: (number | string | Long);
  'attempt'?: (number);
  'output'?: (_cirkd_teacher_v1_OutputInput);
  'dtype'?: (_cirkd_teacher_v1_DTypeInput);
  'shape'?: (number)[];
  'rowBegin'?: (number);
  'rowEnd'?: (number);
  'crc32c'?: (number);
  'data'?: (Buffer | Uint8Array | string);
}

export interface TensorChunk {
  'id': (number);
  'attempt': (number);
  'output': (_cirkd_teacher_v1_Output);
  'dtype': (_cirkd_teacher_v1_DType);
  'shape': (number)[];
  'rowBegin': (number);
  'rowEnd': (number);
  'crc32c': (number);
  'data': (Buffer);
}
