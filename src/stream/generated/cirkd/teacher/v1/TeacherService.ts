// Original file: proto/cirkd/teacher/v1/teacher.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { DistillRequestInput as _cirkd_teacher_v1_DistillRequestInput, DistillRequest as _cirkd_teacher_v1_DistillRequest } from '../../../cirkd/teacher/v1/DistillRequest.js';
import type { DistillResponseInput as _cirkd_teacher_v1_DistillResponseInput, DistillResponse as _cirkd_teacher_v1_DistillResponse } from '../../../cirkd/teacher/v1/DistillResponse.js';
import type { GetTeacherRequestInput as _cirkd_teacher_v1_GetTeacherRequestInput, GetTeacherRequest as _cirkd_teacher_v1_GetTeacherRequest } from '../../../cirkd/teacher/v1/GetTeacherRequest.js';
import type { GetTeacherResponseInput as _cirkd_teacher_v1_GetTeacherResponseInput, GetTeacherResponse as _cirkd_teacher_v1_GetTeacherResponse } from '../../../cirkd/teacher/v1/GetTeacherResponse.js';

export interface TeacherServiceClient extends grpc.Client {
  Distill(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_cirkd_teacher_v1_DistillRequestInput, _cirkd_teacher_v1_DistillResponse>;
  Distill(options?: grpc.CallOptions): grpc.ClientDuplexStream<_cirkd_teacher_v1_DistillRequestInput, _cirkd_teacher_v1_DistillResponse>;
  distill(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_cirkd_teacher_v1_DistillRequestInput, _cirkd_teacher_v1_DistillResponse>;
  distill(options?: grpc.CallOptions): grpc.ClientDuplexStream<_cirkd_teacher_v1_DistillRequestInput, _cirkd_teacher_v1_DistillResponse>;
  
  GetTeacher(argument: _cirkd_teacher_v1_GetTeacherRequestInput, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_cirkd_teacher_v1_GetTeacherResponse>): grpc.ClientUnaryCall;
  GetTeacher(argument: _cirkd_teacher_v1_GetTeacherRequestInput, metadata: grpc.Metadata, callback: grpc.requestCallback<_cirkd_teacher_v1_GetTeacherResponse>): grpc.ClientUnaryCall;
  GetTeacher(argument: _cirkd_teacher_v1_GetTeacherRequestInput, options: grpc.CallOptions, callback: grpc.requestCallback<_cirkd_teacher_v1_GetTeacherResponse>): grpc.ClientUnaryCall;
  GetTeacher(argument: _cirkd_teacher_v1_GetTeacherRequestInput, callback: grpc.requestCallback<_cirkd_teacher_v1_GetTeacherResponse>): grpc.ClientUnaryCall;
  getTeacher(argument: _cirkd_teacher_v1_GetTeacherRequestInput, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_cirkd_teacher_v1_GetTeacherResponse>): grpc.ClientUnaryCall;
  getTeacher(argument: _cirkd_teacher_v1_GetTeacherRequestInput, metadata: grpc.Metadata, callback: grpc.requestCallback<_cirkd_teacher_v1_GetTeacherResponse>): grpc.ClientUnaryCall;
  getTeacher(argument: _cirkd_teacher_v1_GetTeacherRequestInput, options: grpc.CallOptions, callback: grpc.requestCallback<_cirkd_teacher_v1_GetTeacherResponse>): grpc.ClientUnaryCall;
  getTeacher(argument: _cirkd_teacher_v1_GetTeacherRequestInput, callback: grpc.requestCallback<_cirkd_teacher_v1_GetTeacherResponse>): grpc.ClientUnaryCall;
  
}

export interface TeacherServiceHandlers extends grpc.UntypedServiceImplementation {
  Distill: grpc.handleBidiStreamingCall<_cirkd_teacher_v1_DistillRequest, _cirkd_teacher_v1_DistillResponseInput>;
  
  GetTeacher: grpc.handleUnaryCall<_cirkd_teacher_v1_GetTeacherRequest, _cirkd_teacher_v1_GetTeacherResponseInput>;
  
}

export interface TeacherServiceDefinition extends grpc.ServiceDefinition {
  Distill: MethodDefinition<_cirkd_teacher_v1_DistillRequestInput, _cirkd_teacher_v1_DistillResponseInput, _cirkd_teacher_v1_DistillRequest, _cirkd_teacher_v1_DistillResponse>
  GetTeacher: MethodDefinition<_cirkd_teacher_v1_GetTeacherRequestInput, _cirkd_teacher_v1_GetTeacherResponseInput, _cirkd_teacher_v1_GetTeacherRequest, _cirkd_teacher_v1_GetTeacherResponse>
}
