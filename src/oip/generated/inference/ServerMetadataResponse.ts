// Original file: proto/inference/grpc_service.proto


export interface ServerMetadataResponseInput {
  'name'?: (string);
  'version'?: (string);
  'extensions'?: (string)[];
}

export interface ServerMetadataResponse {
  'name': (string);
  'version': (string);
  'extensions': (string)[];
}
