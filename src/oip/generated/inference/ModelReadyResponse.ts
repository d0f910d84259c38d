// Original file: proto/inference/grpc_service.proto


export interface ModelReadyResponseInput {
  'ready'?: (boolean);
}

export interface ModelReadyResponse {
  'ready': (boolean);
}
