// Original file: proto/cirkd/teacher/v1/teacher.proto

import type { Long } from '@grpc/proto-loader';

export interface CancelInput {
  'id'?: (number | string | Long);
}

export interface Cancel {
  'id': (number);
}
