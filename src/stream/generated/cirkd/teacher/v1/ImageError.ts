// Original file: proto/cirkd/teacher/v1/teacher.proto

import type { ErrorReasonInput as _cirkd_teacher_v1_ErrorReasonInput, ErrorReason as _cirkd_teacher_v1_ErrorReason } from '../../../cirkd/teacher/v1/ErrorReason.js';
import type { Long } from '@grpc/proto-loader';

export interface ImageErrorInput {
  'id'?: (number | string | Long);
  'attempt'?: (number);
  'code'?: (number);
  'message'?: (string);
  'retryable'?: (boolean);
  'reason'?: (_cirkd_teacher_v1_ErrorReasonInput);
}

export interface ImageError {
  'id': (number);
  'attempt': (number);
  'code': (number);
  'message': (string);
  'retryable': (boolean);
  'reason': (_cirkd_teacher_v1_ErrorReason);
}
