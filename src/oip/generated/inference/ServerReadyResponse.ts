// Original file: proto/inference/grpc_service.proto


export interface ServerReadyResponseInput {
  'ready'?: (boolean);
}

export interface ServerReadyResponse {
  'ready': (boolean);
}
