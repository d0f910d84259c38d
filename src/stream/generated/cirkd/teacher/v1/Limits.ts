// Original file: proto/cirkd/teacher/v1/teacher.proto

import type { Long } from '@grpc/proto-loader';

export interface LimitsInput {
  'maxImagePixels'?: (number | string | Long);
  'maxInflightImages'?: (number);
  'maxMessageBytes'?: (number | string | Long);
  'maxRunIdBytes'?: (number);
  'defaultTimeoutMs'?: (number);
  'maxChunkBytes'?: (number | string | Long);
}

export interface Limits {
  'maxImagePixels': (number);
  'maxInflightImages': (number);
  'maxMessageBytes': (number);
  'maxRunIdBytes': (number);
  'defaultTimeoutMs': (number);
  'maxChunkBytes': (number);
}
