// Original file: proto/inference/grpc_service.proto


export interface ModelParameterInput {
  'stringValue'?: (string);
}

export interface ModelParameter {
  'stringValue': (string);
}
