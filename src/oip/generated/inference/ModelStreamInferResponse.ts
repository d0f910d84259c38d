// Original file: proto/inference/grpc_service.proto

import type { ModelInferResponseInput as _inference_ModelInferResponseInput, ModelInferResponse as _inference_ModelInferResponse } from '../inference/ModelInferResponse.js';

export interface ModelStreamInferResponseInput {
  'errorMessage'?: (string);
  'inferResponse'?: (_inference_ModelInferResponseInput | null);
}

export interface ModelStreamInferResponse {
  'errorMessage': (string);
  'inferResponse': (_inference_ModelInferResponse | null);
}
