// Original file: proto/inference/grpc_service.proto


export interface ModelStatisticsRequestInput {
  'name'?: (string);
  'version'?: (string);
}

export interface ModelStatisticsRequest {
  'name': (string);
  'version': (string);
}
