// Original file: proto/inference/grpc_service.proto


export interface ModelReadyRequestInput {
  'name'?: (string);
  'version'?: (string);
}

export interface ModelReadyRequest {
  'name': (string);
  'version': (string);
}
