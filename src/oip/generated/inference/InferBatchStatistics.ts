// Original file: proto/inference/grpc_service.proto

import type { StatisticDurationInput as _inference_StatisticDurationInput, StatisticDuration as _inference_StatisticDuration } from '../inference/StatisticDuration.js';
import type { Long } from '@grpc/proto-loader';

export interface InferBatchStatisticsInput {
  'batchSize'?: (number | string | Long);
  'computeInput'?: (_inference_StatisticDurationInput | null);
  'computeInfer'?: (_inference_StatisticDurationInput | null);
  'computeOutput'?: (_inference_StatisticDurationInput | null);
}

export interface InferBatchStatistics {
  'batchSize': (number);
  'computeInput': (_inference_StatisticDuration | null);
  'computeInfer': (_inference_StatisticDuration | null);
  'computeOutput': (_inference_StatisticDuration | null);
}
