// Original file: proto/inference/grpc_service.proto


export interface RepositoryIndexRequestInput {
  'repositoryName'?: (string);
  'ready'?: (boolean);
}

export interface RepositoryIndexRequest {
  'repositoryName': (string);
  'ready': (boolean);
}
