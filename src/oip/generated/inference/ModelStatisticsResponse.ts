// Original file: proto/inference/grpc_service.proto

import type { ModelStatisticsInput as _inference_ModelStatisticsInput, ModelStatistics as _inference_ModelStatistics } from '../inference/ModelStatistics.js';

export interface ModelStatisticsResponseInput {
  'modelStats'?: (_inference_ModelStatisticsInput)[];
}

export interface ModelStatisticsResponse {
  'modelStats': (_inference_ModelStatistics)[];
}
