// Original file: proto/inference/grpc_service.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { ModelConfigRequestInput as _inference_ModelConfigRequestInput, ModelConfigRequest as _inference_ModelConfigRequest } from '../inference/ModelConfigRequest.js';
import type { ModelConfigResponseInput as _inference_ModelConfigResponseInput, ModelConfigResponse as _inference_ModelConfigResponse } from '../inference/ModelConfigResponse.js';
import type { ModelInferRequestInput as _inference_ModelInferRequestInput, ModelInferRequest as _inference_ModelInferRequest } from '../inference/ModelInferRequest.js';
import type { ModelInferResponseInput as _inference_ModelInferResponseInput, ModelInferResponse as _inference_ModelInferResponse } from '../inference/ModelInferResponse.js';
import type { ModelMetadataRequestInput as _inference_ModelMetadataRequestInput, ModelMetadataRequest as _inference_ModelMetadataRequest } from '../inference/ModelMetadataRequest.js';
import type { ModelMetadataResponseInput as _inference_ModelMetadataResponseInput, ModelMetadataResponse as _inference_ModelMetadataResponse } from '../inference/ModelMetadataResponse.js';
import type { ModelReadyRequestInput as _inference_ModelReadyRequestInput, ModelReadyRequest as _inference_ModelReadyRequest } from '../inference/ModelReadyRequest.js';
import type { ModelReadyResponseInput as _inference_ModelReadyResponseInput, ModelReadyResponse as _inference_ModelReadyResponse } from '../inference/ModelReadyResponse.js';
import type { ModelStatisticsRequestInput as _inference_ModelStatisticsRequestInput, ModelStatisticsRequest as _inference_ModelStatisticsRequest } from '../inference/ModelStatisticsRequest.js';
import type { ModelStatisticsResponseInput as _inference_ModelStatisticsResponseInput, ModelStatisticsResponse as _inference_ModelStatisticsResponse } from '../inference/ModelStatisticsResponse.js';
import type { ModelStreamInferResponseInput as _inference_ModelStreamInferResponseInput, ModelStreamInferResponse as _inference_ModelStreamInferResponse } from '../inference/ModelStreamInferResponse.js';
import type { RepositoryIndexRequestInput as _inference_RepositoryIndexRequestInput, RepositoryIndexRequest as _inference_RepositoryIndexRequest } from '../inference/RepositoryIndexRequest.js';
import type { RepositoryIndexResponseInput as _inference_RepositoryIndexResponseInput, RepositoryIndexResponse as _inference_RepositoryIndexResponse } from '../inference/RepositoryIndexResponse.js';
import type { ServerLiveRequestInput as _inference_ServerLiveRequestInput, ServerLiveRequest as _inference_ServerLiveRequest } from '../inference/ServerLiveRequest.js';
import type { ServerLiveResponseInput as _inference_ServerLiveResponseInput, ServerLiveResponse as _inference_ServerLiveResponse } from '../inference/ServerLiveResponse.js';
import type { ServerMetadataRequestInput as _inference_ServerMetadataRequestInput, ServerMetadataRequest as _inference_ServerMetadataRequest } from '../inference/ServerMetadataRequest.js';
import type { ServerMetadataResponseInput as _inference_ServerMetadataResponseInput, ServerMetadataResponse as _inference_ServerMetadataResponse } from '../inference/ServerMetadataResponse.js';
import type { ServerReadyRequestInput as _inference_ServerReadyRequestInput, ServerReadyRequest as _inference_ServerReadyRequest } from '../inference/ServerReadyRequest.js';
import type { ServerReadyResponseInput as _inference_ServerReadyResponseInput, ServerReadyResponse as _inference_ServerReadyResponse } from '../inference/ServerReadyResponse.js';

export interface GRPCInferenceServiceClient extends grpc.Client {
  ModelConfig(argument: _inference_ModelConfigRequestInput, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ModelConfigResponse>): grpc.ClientUnaryCall;
  ModelConfig(argument: _inference_ModelConfigRequestInput, metadata: grpc.Metadata, callback: grpc.requestCallback<_inference_ModelConfigResponse>): grpc.ClientUnaryCall;
  ModelConfig(argument: _inference_ModelConfigRequestInput, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ModelConfigResponse>): grpc.ClientUnaryCall;
  ModelConfig(argument: _inference_ModelConfigRequestInput, callback: grpc.requestCallback<_inference_ModelConfigResponse>): grpc.ClientUnaryCall;
  modelConfig(argument: _inference_ModelConfigRequestInput, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ModelConfigResponse>): grpc.ClientUnaryCall;
  modelConfig(argument: _inference_ModelConfigRequestInput, metadata: grpc.Metadata, callback: grpc.requestCallback<_inference_ModelConfigResponse>): grpc.ClientUnaryCall;
  modelConfig(argument: _inference_ModelConfigRequestInput, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ModelConfigResponse>): grpc.ClientUnaryCall;
  modelConfig(argument: _inference_ModelConfigRequestInput, callback: grpc.requestCallback<_inference_ModelConfigResponse>): grpc.ClientUnaryCall;
  
  ModelInfer(argument: _inference_ModelInferRequestInput, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ModelInferResponse>): grpc.ClientUnaryCall;
  ModelInfer(argument: _inference_ModelInferRequestInput, metadata: grpc.Metadata, callback: grpc.requestCallback<_inference_ModelInferResponse>): grpc.ClientUnaryCall;
  ModelInfer(argument: _inference_ModelInferRequestInput, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ModelInferResponse>): grpc.ClientUnaryCall;
  ModelInfer(argument: _inference_ModelInferRequestInput, callback: grpc.requestCallback<_inference_ModelInferResponse>): grpc.ClientUnaryCall;
  modelInfer(argument: _inference_ModelInferRequestInput, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ModelInferResponse>): grpc.ClientUnaryCall;
  modelInfer(argument: _inference_ModelInferRequestInput, metadata: grpc.Metadata, callback: grpc.requestCallback<_inference_ModelInferResponse>): grpc.ClientUnaryCall;
  modelInfer(argument: _inference_ModelInferRequestInput, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ModelInferResponse>): grpc.ClientUnaryCall;
  modelInfer(argument: _inference_ModelInferRequestInput, callback: grpc.requestCallback<_inference_ModelInferResponse>): grpc.ClientUnaryCall;
  
  ModelMetadata(argument: _inference_ModelMetadataRequestInput, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ModelMetadataResponse>): grpc.ClientUnaryCall;
  ModelMetadata(argument: _inference_ModelMetadataRequestInput, metadata: grpc.Metadata, callback: grpc.requestCallback<_inference_ModelMetadataResponse>): grpc.ClientUnaryCall;
  ModelMetadata(argument: _inference_ModelMetadataRequestInput, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ModelMetadataResponse>): grpc.ClientUnaryCall;
  ModelMetadata(argument: _inference_ModelMetadataRequestInput, callback: grpc.requestCallback<_inference_ModelMetadataResponse>): grpc.ClientUnaryCall;
  modelMetadata(argument: _inference_ModelMetadataRequestInput, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ModelMetadataResponse>): grpc.ClientUnaryCall;
  modelMetadata(argument: _inference_ModelMetadataRequestInput, metadata: grpc.Metadata, callback: grpc.requestCallback<_inference_ModelMetadataResponse>): grpc.ClientUnaryCall;
  modelMetadata(argument: _inference_ModelMetadataRequestInput, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ModelMetadataResponse>): grpc.ClientUnaryCall;
  modelMetadata(argument: _inference_ModelMetadataRequestInput, callback: grpc.requestCallback<_inference_ModelMetadataResponse>): grpc.ClientUnaryCall;
  
  ModelReady(argument: _inference_ModelReadyRequestInput, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ModelReadyResponse>): grpc.ClientUnaryCall;
  ModelReady(argument: _inference_ModelReadyRequestInput, metadata: grpc.Metadata, callback: grpc.requestCallback<_inference_ModelReadyResponse>): grpc.ClientUnaryCall;
  ModelReady(argument: _inference_ModelReadyRequestInput, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ModelReadyResponse>): grpc.ClientUnaryCall;
  ModelReady(argument: _inference_ModelReadyRequestInput, callback: grpc.requestCallback<_inference_ModelReadyResponse>): grpc.ClientUnaryCall;
  modelReady(argument: _inference_ModelReadyRequestInput, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ModelReadyResponse>): grpc.ClientUnaryCall;
  modelReady(argument: _inference_ModelReadyRequestInput, metadata: grpc.Metadata, callback: grpc.requestCallback<_inference_ModelReadyResponse>): grpc.ClientUnaryCall;
  modelReady(argument: _inference_ModelReadyRequestInput, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ModelReadyResponse>): grpc.ClientUnaryCall;
  modelReady(argument: _inference_ModelReadyRequestInput, callback: grpc.requestCallback<_inference_ModelReadyResponse>): grpc.ClientUnaryCall;
  
  ModelStatistics(argument: _inference_ModelStatisticsRequestInput, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ModelStatisticsResponse>): grpc.ClientUnaryCall;
  ModelStatistics(argument: _inference_ModelStatisticsRequestInput, metadata: grpc.Metadata, callback: grpc.requestCallback<_inference_ModelStatisticsResponse>): grpc.ClientUnaryCall;
  ModelStatistics(argument: _inference_ModelStatisticsRequestInput, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ModelStatisticsResponse>): grpc.ClientUnaryCall;
  ModelStatistics(argument: _inference_ModelStatisticsRequestInput, callback: grpc.requestCallback<_inference_ModelStatisticsResponse>): grpc.ClientUnaryCall;
  modelStatistics(argument: _inference_ModelStatisticsRequestInput, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ModelStatisticsResponse>): grpc.ClientUnaryCall;
  modelStatistics(argument: _inference_ModelStatisticsRequestInput, metadata: grpc.Metadata, callback: grpc.requestCallback<_inference_ModelStatisticsResponse>): grpc.ClientUnaryCall;
  modelStatistics(argument: _inference_ModelStatisticsRequestInput, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ModelStatisticsResponse>): grpc.ClientUnaryCall;
  modelStatistics(argument: _inference_ModelStatisticsRequestInput, callback: grpc.requestCallback<_inference_ModelStatisticsResponse>): grpc.ClientUnaryCall;
  
  ModelStreamInfer(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_inference_ModelInferRequestInput, _inference_ModelStreamInferResponse>;
  ModelStreamInfer(options?: grpc.CallOptions): grpc.ClientDuplexStream<_inference_ModelInferRequestInput, _inference_ModelStreamInferResponse>;
  modelStreamInfer(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_inference_ModelInferRequestInput, _inference_ModelStreamInferResponse>;
  modelStreamInfer(options?: grpc.CallOptions): grpc.ClientDuplexStream<_inference_ModelInferRequestInput, _inference_ModelStreamInferResponse>;
  
  RepositoryIndex(argument: _inference_RepositoryIndexRequestInput, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_RepositoryIndexResponse>): grpc.ClientUnaryCall;
  RepositoryIndex(argument: _inference_RepositoryIndexRequestInput, metadata: grpc.Metadata, callback: grpc.requestCallback<_inference_RepositoryIndexResponse>): grpc.ClientUnaryCall;
  RepositoryIndex(argument: _inference_RepositoryIndexRequestInput, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_RepositoryIndexResponse>): grpc.ClientUnaryCall;
  RepositoryIndex(argument: _inference_RepositoryIndexRequestInput, callback: grpc.requestCallback<_inference_RepositoryIndexResponse>): grpc.ClientUnaryCall;
  repositoryIndex(argument: _inference_RepositoryIndexRequestInput, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_RepositoryIndexResponse>): grpc.ClientUnaryCall;
  repositoryIndex(argument: _inference_RepositoryIndexRequestInput, metadata: grpc.Metadata, callback: grpc.requestCallback<_inference_RepositoryIndexResponse>): grpc.ClientUnaryCall;
  repositoryIndex(argument: _inference_RepositoryIndexRequestInput, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_RepositoryIndexResponse>): grpc.ClientUnaryCall;
  repositoryIndex(argument: _inference_RepositoryIndexRequestInput, callback: grpc.requestCallback<_inference_RepositoryIndexResponse>): grpc.ClientUnaryCall;
  
  ServerLive(argument: _inference_ServerLiveRequestInput, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ServerLiveResponse>): grpc.ClientUnaryCall;
  ServerLive(argument: _inference_ServerLiveRequestInput, metadata: grpc.Metadata, callback: grpc.requestCallback<_inference_ServerLiveResponse>): grpc.ClientUnaryCall;
  ServerLive(argument: _inference_ServerLiveRequestInput, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ServerLiveResponse>): grpc.ClientUnaryCall;
  ServerLive(argument: _inference_ServerLiveRequestInput, callback: grpc.requestCallback<_inference_ServerLiveResponse>): grpc.ClientUnaryCall;
  serverLive(argument: _inference_ServerLiveRequestInput, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ServerLiveResponse>): grpc.ClientUnaryCall;
  serverLive(argument: _inference_ServerLiveRequestInput, metadata: grpc.Metadata, callback: grpc.requestCallback<_inference_ServerLiveResponse>): grpc.ClientUnaryCall;
  serverLive(argument: _inference_ServerLiveRequestInput, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ServerLiveResponse>): grpc.ClientUnaryCall;
  serverLive(argument: _inference_ServerLiveRequestInput, callback: grpc.requestCallback<_inference_ServerLiveResponse>): grpc.ClientUnaryCall;
  
  ServerMetadata(argument: _inference_ServerMetadataRequestInput, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ServerMetadataResponse>): grpc.ClientUnaryCall;
  ServerMetadata(argument: _inference_ServerMetadataRequestInput, metadata: grpc.Metadata, callback: grpc.requestCallback<_inference_ServerMetadataResponse>): grpc.ClientUnaryCall;
  ServerMetadata(argument: _inference_ServerMetadataRequestInput, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ServerMetadataResponse>): grpc.ClientUnaryCall;
  ServerMetadata(argument: _inference_ServerMetadataRequestInput, callback: grpc.requestCallback<_inference_ServerMetadataResponse>): grpc.ClientUnaryCall;
  serverMetadata(argument: _inference_ServerMetadataRequestInput, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ServerMetadataResponse>): grpc.ClientUnaryCall;
  serverMetadata(argument: _inference_ServerMetadataRequestInput, metadata: grpc.Metadata, callback: grpc.requestCallback<_inference_ServerMetadataResponse>): grpc.ClientUnaryCall;
  serverMetadata(argument: _inference_ServerMetadataRequestInput, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ServerMetadataResponse>): grpc.ClientUnaryCall;
  serverMetadata(argument: _inference_ServerMetadataRequestInput, callback: grpc.requestCallback<_inference_ServerMetadataResponse>): grpc.ClientUnaryCall;
  
  ServerReady(argument: _inference_ServerReadyRequestInput, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ServerReadyResponse>): grpc.ClientUnaryCall;
  ServerReady(argument: _inference_ServerReadyRequestInput, metadata: grpc.Metadata, callback: grpc.requestCallback<_inference_ServerReadyResponse>): grpc.ClientUnaryCall;
  ServerReady(argument: _inference_ServerReadyRequestInput, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ServerReadyResponse>): grpc.ClientUnaryCall;
  ServerReady(argument: _inference_ServerReadyRequestInput, callback: grpc.requestCallback<_inference_ServerReadyResponse>): grpc.ClientUnaryCall;
  serverReady(argument: _inference_ServerReadyRequestInput, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ServerReadyResponse>): grpc.ClientUnaryCall;
  serverReady(argument: _inference_ServerReadyRequestInput, metadata: grpc.Metadata, callback: grpc.requestCallback<_inference_ServerReadyResponse>): grpc.ClientUnaryCall;
  serverReady(argument: _inference_ServerReadyRequestInput, options: grpc.CallOptions, callback: grpc.requestCallback<_inference_ServerReadyResponse>): grpc.ClientUnaryCall;
  serverReady(argument: _inference_ServerReadyRequestInput, callback: grpc.requestCallback<_inference_ServerReadyResponse>): grpc.ClientUnaryCall;
  
}

export interface GRPCInferenceServiceHandlers extends grpc.UntypedServiceImplementation {
  ModelConfig: grpc.handleUnaryCall<_inference_ModelConfigRequest, _inference_ModelConfigResponseInput>;
  
  ModelInfer: grpc.handleUnaryCall<_inference_ModelInferRequest, _inference_ModelInferResponseInput>;
  
  ModelMetadata: grpc.handleUnaryCall<_inference_ModelMetadataRequest, _inference_ModelMetadataResponseInput>;
  
  ModelReady: grpc.handleUnaryCall<_inference_ModelReadyRequest, _inference_ModelReadyResponseInput>;
  
  ModelStatistics: grpc.handleUnaryCall<_inference_ModelStatisticsRequest, _inference_ModelStatisticsResponseInput>;
  
  ModelStreamInfer: grpc.handleBidiStreamingCall<_inference_ModelInferRequest, _inference_ModelStreamInferResponseInput>;
  
  RepositoryIndex: grpc.handleUnaryCall<_inference_RepositoryIndexRequest, _inference_RepositoryIndexResponseInput>;
  
  ServerLive: grpc.handleUnaryCall<_inference_ServerLiveRequest, _inference_ServerLiveResponseInput>;
  
  ServerMetadata: grpc.handleUnaryCall<_inference_ServerMetadataRequest, _inference_ServerMetadataResponseInput>;
  
  ServerReady: grpc.handleUnaryCall<_inference_ServerReadyRequest, _inference_ServerReadyResponseInput>;
  
}

export interface GRPCInferenceServiceDefinition extends grpc.ServiceDefinition {
  ModelConfig: MethodDefinition<_inference_ModelConfigRequestInput, _inference_ModelConfigResponseInput, _inference_ModelConfigRequest, _inference_ModelConfigResponse>
  ModelInfer: MethodDefinition<_inference_ModelInferRequestInput, _inference_ModelInferResponseInput, _inference_ModelInferRequest, _inference_ModelInferResponse>
  ModelMetadata: MethodDefinition<_inference_ModelMetadataRequestInput, _inference_ModelMetadataResponseInput, _inference_ModelMetadataRequest, _inference_ModelMetadataResponse>
  ModelReady: MethodDefinition<_inference_ModelReadyRequestInput, _inference_ModelReadyResponseInput, _inference_ModelReadyRequest, _inference_ModelReadyResponse>
  ModelStatistics: MethodDefinition<_inference_ModelStatisticsRequestInput, _inference_ModelStatisticsResponseInput, _inference_ModelStatisticsRequest, _inference_ModelStatisticsResponse>
  ModelStreamInfer: MethodDefinition<_inference_ModelInferRequestInput, _inference_ModelStreamInferResponseInput, _inference_ModelInferRequest, _inference_ModelStreamInferResponse>
  RepositoryIndex: MethodDefinition<_inference_RepositoryIndexRequestInput, _inference_RepositoryIndexResponseInput, _inference_RepositoryIndexRequest, _inference_RepositoryIndexResponse>
  ServerLive: MethodDefinition<_inference_ServerLiveRequestInput, _inference_ServerLiveResponseInput, _inference_ServerLiveRequest, _inference_ServerLiveResponse>
  ServerMetadata: MethodDefinition<_inference_ServerMetadataRequestInput, _inference_ServerMetadataResponseInput, _inference_ServerMetadataRequest, _inference_ServerMetadataResponse>
  ServerReady: MethodDefinition<_inference_ServerReadyRequestInput, _inference_ServerReadyResponseInput, _inference_ServerReadyRequest, _inference_ServerReadyResponse>
}
