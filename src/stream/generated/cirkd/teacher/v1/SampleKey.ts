// Original file: proto/cirkd/teacher/v1/teacher.proto

import type { Long } from '@grpc/proto-loader';

export interface SampleKeyInput {
  'sample'?: (string);
  'augmentationSeed'?: (number | string | Long);
}

export interface SampleKey {
  'sample': (string);
  'augmentationSeed': (number);
}
