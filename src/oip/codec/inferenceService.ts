/** The service of proto/inference as both sides use it. */
import type { PackageDefinition } from '@grpc/proto-loader';
import { loadProto } from '../../rpc/loadProto.js';
import type { ProtoGrpcType } from '../generated/grpc_service.js';

export const INFERENCE_SERVICE_NAME = 'inference.GRPCInferenceService';

const proto = loadProto<ProtoGrpcType>('inference/grpc_service.proto');

/** For reflection. */
export const inferencePackageDefinition: PackageDefinition = proto.packageDefinition;

/** Client constructor and plain definition. */
export const InferenceService = proto.tree.inference.GRPCInferenceService;
