// Original file: proto/inference/grpc_service.proto


export interface ModelConfigRequestInput {
  'name'?: (string);
  'version'?: (string);
}

export interface ModelConfigRequest {
  'name': (string);
  'version': (string);
}
