// Original file: proto/inference/grpc_service.proto

import type { Long } from '@grpc/proto-loader';

export interface StatisticDurationInput {
  'count'?: (number | string | Long);
  'ns'?: (number | string | Long);
}

export interface StatisticDuration {
  'count': (number);
  'ns': (number);
}
