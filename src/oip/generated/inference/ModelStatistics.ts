// Original file: proto/inference/grpc_service.proto

import type { InferStatisticsInput as _inference_InferStatisticsInput, InferStatistics as _inference_InferStatistics } from '../inference/InferStatistics.js';
import type { InferBatchStatisticsInput as _inference_InferBatchStatisticsInput, InferBatchStatistics as _inference_InferBatchStatistics } from '../inference/InferBatchStatistics.js';
import type { Long } from '@grpc/proto-loader';

export interface ModelStatisticsInput {
  'name'?: (string);
  'version'?: (string);
  'lastInference'?: (number | string | Long);
  'inferenceCount'?: (number | string | Long);
  'executionCount'?: (number | string | Long);
  'inferenceStats'?: (_inference_InferStatisticsInput | null);
  'batchStats'?: (_inference_InferBatchStatisticsInput)[];
}

export interface ModelStatistics {
  'name': (string);
  'version': (string);
  'lastInference': (number);
  'inferenceCount': (number);
  'executionCount': (number);
  'inferenceStats': (_inference_InferStatistics | null);
  'batchStats': (_inference_InferBatchStatistics)[];
}
