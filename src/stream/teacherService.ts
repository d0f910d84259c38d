/** The service of proto/cirkd/teacher/v1 as both sides use it. */
import type { ServiceDefinition } from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import { loadProto } from '../rpc/loadProto.js';
import type { DistillRequest } from './generated/cirkd/teacher/v1/DistillRequest.js';
import type { DistillResponseInput } from './generated/cirkd/teacher/v1/DistillResponse.js';
import type { TeacherServiceDefinition } from './generated/cirkd/teacher/v1/TeacherService.js';
import type { ProtoGrpcType } from './generated/teacher.js';
import { checkMessageBounds, REQUEST_BULK_FIELD } from './messageBounds.js';
import { encodeTensorResponse } from './tensorResponse.js';

export const PROTOCOL_VERSION = 1;
export const TEACHER_SERVICE_NAME = 'cirkd.teacher.v1.TeacherService';

const proto = loadProto<ProtoGrpcType>('cirkd/teacher/v1/teacher.proto');

/** For reflection. */
export const teacherPackageDefinition: PackageDefinition = proto.packageDefinition;

/** Client constructor and plain definition. */
export const TeacherService = proto.tree.cirkd.teacher.v1.TeacherService;

/** What a server reads: a request, or why the bytes were none. */
export type IncomingRequest = DistillRequest | { readonly malformed: string };

/**
 * The definition for a server. Tensors are written by hand (same bytes, one copy), and bytes that
 * are no DistillRequest, or cost too much to decode, arrive as `malformed`, so that the stream can
 * end with a status of ours.
 */
export function teacherServerDefinition(): ServiceDefinition {
  const plain: TeacherServiceDefinition = TeacherService.service;
  const { Distill } = plain;
  return {
    ...plain,
    Distill: {
      ...Distill,
      requestDeserialize(bytes: Buffer): IncomingRequest {
        try {
          checkMessageBounds(bytes, REQUEST_BULK_FIELD);
          return Distill.requestDeserialize(bytes);
        } catch (error) {
          return { malformed: (error as Error).message };
        }
      },
      responseSerialize(response: DistillResponseInput): Buffer {
        return response.tensor
          ? encodeTensorResponse(response.tensor)
          : Distill.responseSerialize(response);
      },
    },
  };
}
