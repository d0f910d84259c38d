// Original file: proto/inference/grpc_service.proto

import type { StatisticDurationInput as _inference_StatisticDurationInput, StatisticDuration as _inference_StatisticDuration } from '../inference/StatisticDuration.js';

export interface InferStatisticsInput {
  'success'?: (_inference_StatisticDurationInput | null);
  'fail'?: (_inference_StatisticDurationInput | null);
  'queue'?: (_inference_StatisticDurationInput | null);
  'computeInput'?: (_inference_StatisticDurationInput | null);
  'computeInfer'?: (_inference_StatisticDurationInput | null);
  'computeOutput'?: (_inference_StatisticDurationInput | null);
  'cacheHit'?: (_inference_StatisticDurationInput | null);
  'cacheMiss'?: (_inference_StatisticDurationInput | null);
}

export interface InferStatistics {
  'success': (_inference_StatisticDuration | null);
  'fail': (_inference_StatisticDuration | null);
  'queue': (_inference_StatisticDuration | null);
  'computeInput': (_inference_StatisticDuration | null);
  'computeInfer': (_inference_StatisticDuration | null);
  'computeOutput': (_inference_StatisticDuration | null);
  'cacheHit': (_inference_StatisticDuration | null);
  'cacheMiss': (_inference_StatisticDuration | null);
}
