// Original file: proto/inference/grpc_service.proto


export interface ServerLiveResponseInput {
  'live'?: (boolean);
}

export interface ServerLiveResponse {
  'live': (boolean);
}
