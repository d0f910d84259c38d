// Original file: proto/inference/grpc_service.proto

import type { Long } from '@grpc/proto-loader';

export interface ModelDynamicBatchingInput {
  'preferredBatchSize'?: (number)[];
  'maxQueueDelayMicroseconds'?: (number | string | Long);
}

export interface ModelDynamicBatching {
  'preferredBatchSize': (number)[];
  'maxQueueDelayMicroseconds': (number);
}
