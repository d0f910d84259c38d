// Original file: proto/cirkd/teacher/v1/teacher.proto

import type { SampleKeyInput as _cirkd_teacher_v1_SampleKeyInput, SampleKey as _cirkd_teacher_v1_SampleKey } from '../../../cirkd/teacher/v1/SampleKey.js';
import type { Long } from '@grpc/proto-loader';

export interface ImageInput {
  'id'?: (number | string | Long);
  'attempt'?: (number);
  'timeoutMs'?: (number);
  'sampleKey'?: (_cirkd_teacher_v1_SampleKeyInput | null);
  'height'?: (number);
  'width'?: (number);
  'crc32c'?: (number);
  'rgb'?: (Buffer | Uint8Array | string);
}

export interface Image {
  'id': (number);
  'attempt': (number);
  'timeoutMs': (number);
  'sampleKey': (_cirkd_teacher_v1_SampleKey | null);
  'height': (number);
  'width': (number);
  'crc32c': (number);
  'rgb': (Buffer);
}
