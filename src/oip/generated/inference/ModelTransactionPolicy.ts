// Original file: proto/inference/grpc_service.proto


export interface ModelTransactionPolicyInput {
  'decoupled'?: (boolean);
}

export interface ModelTransactionPolicy {
  'decoupled': (boolean);
}
