// Original file: proto/inference/grpc_service.proto


export interface ModelMetadataRequestInput {
  'name'?: (string);
  'version'?: (string);
}

export interface ModelMetadataRequest {
  'name': (string);
  'version': (string);
}
