// Original file: proto/inference/grpc_service.proto


export interface _inference_RepositoryIndexResponse_ModelIndexInput {
  'name'?: (string);
  'version'?: (string);
  'state'?: (string);
  'reason'?: (string);
}

export interface _inference_RepositoryIndexResponse_ModelIndex {
  'name': (string);
  'version': (string);
  'state': (string);
  'reason': (string);
}

export interface RepositoryIndexResponseInput {
  'models'?: (_inference_RepositoryIndexResponse_ModelIndexInput)[];
}

export interface RepositoryIndexResponse {
  'models': (_inference_RepositoryIndexResponse_ModelIndex)[];
}
