// Original file: proto/inference/grpc_service.proto


export interface ServerReadyRequestInput {
}

export interface ServerReadyRequest {
}
