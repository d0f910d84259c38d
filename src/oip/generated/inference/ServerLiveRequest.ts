// Original file: proto/inference/grpc_service.proto


export interface ServerLiveRequestInput {
}

export interface ServerLiveRequest {
}
