// Original file: proto/inference/grpc_service.proto


export interface ServerMetadataRequestInput {
}

export interface ServerMetadataRequest {
}
