// Original file: proto/cirkd/teacher/v1/teacher.proto

import type { OutputEncodingInput as _cirkd_teacher_v1_OutputEncodingInput, OutputEncoding as _cirkd_teacher_v1_OutputEncoding } from '../../../cirkd/teacher/v1/OutputEncoding.js';
import type { Long } from '@grpc/proto-loader';

export interface HelloInput {
  'protocolVersion'?: (number);
  'runId'?: (string);
  'outputs'?: (_cirkd_teacher_v1_OutputEncodingInput)[];
  'creditBytes'?: (number | string | Long);
  'maxChunkBytes'?: (number | string | Long);
}

export interface Hello {
  'protocolVersion': (number);
  'runId': (string);
  'outputs': (_cirkd_teacher_v1_OutputEncoding)[];
  'creditBytes': (number);
  'maxChunkBytes': (number);
}
