import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { CancelInput as _cirkd_teacher_v1_CancelInput, Cancel as _cirkd_teacher_v1_Cancel } from './cirkd/teacher/v1/Cancel.js';
import type { DistillRequestInput as _cirkd_teacher_v1_DistillRequestInput, DistillRequest as _cirkd_teacher_v1_DistillRequest } from './cirkd/teacher/v1/DistillRequest.js';
import type { DistillResponseInput as _cirkd_teacher_v1_DistillResponseInput, DistillResponse as _cirkd_teacher_v1_DistillResponse } from './cirkd/teacher/v1/DistillResponse.js';
import type { DrainingInput as _cirkd_teacher_v1_DrainingInput, Draining as _cirkd_teacher_v1_Draining } from './cirkd/teacher/v1/Draining.js';
import type { GetTeacherRequestInput as _cirkd_teacher_v1_GetTeacherRequestInput, GetTeacherRequest as _cirkd_teacher_v1_GetTeacherRequest } from './cirkd/teacher/v1/GetTeacherRequest.js';
import type { GetTeacherResponseInput as _cirkd_teacher_v1_GetTeacherResponseInput, GetTeacherResponse as _cirkd_teacher_v1_GetTeacherResponse } from './cirkd/teacher/v1/GetTeacherResponse.js';
import type { HelloInput as _cirkd_teacher_v1_HelloInput, Hello as _cirkd_teacher_v1_Hello } from './cirkd/teacher/v1/Hello.js';
import type { ImageInput as _cirkd_teacher_v1_ImageInput, Image as _cirkd_teacher_v1_Image } from './cirkd/teacher/v1/Image.js';
import type { ImageErrorInput as _cirkd_teacher_v1_ImageErrorInput, ImageError as _cirkd_teacher_v1_ImageError } from './cirkd/teacher/v1/ImageError.js';
import type { LimitsInput as _cirkd_teacher_v1_LimitsInput, Limits as _cirkd_teacher_v1_Limits } from './cirkd/teacher/v1/Limits.js';
import type { OutputEncodingInput as _cirkd_teacher_v1_OutputEncodingInput, OutputEncoding as _cirkd_teacher_v1_OutputEncoding } from './cirkd/teacher/v1/OutputEncoding.js';
import type { SampleKeyInput as _cirkd_teacher_v1_SampleKeyInput, SampleKey as _cirkd_teacher_v1_SampleKey } from './cirkd/teacher/v1/SampleKey.js';
import type { TeacherInfoInput as _cirkd_teacher_v1_TeacherInfoInput, TeacherInfo as _cirkd_teacher_v1_TeacherInfo } from './cirkd/teacher/v1/TeacherInfo.js';
import type { TeacherServiceClient as _cirkd_teacher_v1_TeacherServiceClient, TeacherServiceDefinition as _cirkd_teacher_v1_TeacherServiceDefinition } from './cirkd/teacher/v1/TeacherService.js';
import type { TensorChunkInput as _cirkd_teacher_v1_TensorChunkInput, TensorChunk as _cirkd_teacher_v1_TensorChunk } from './cirkd/teacher/v1/TensorChunk.js';
import type { WelcomeInput as _cirkd_teacher_v1_WelcomeInput, Welcome as _cirkd_teacher_v1_Welcome } from './cirkd/teacher/v1/Welcome.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  cirkd: {
    teacher: {
      v1: {
        Cancel: MessageTypeDefinition<_cirkd_teacher_v1_CancelInput, _cirkd_teacher_v1_Cancel>
        ChannelOrder: EnumTypeDefinition
        DType: EnumTypeDefinition
        DistillRequest: MessageTypeDefinition<_cirkd_teacher_v1_DistillRequestInput, _cirkd_teacher_v1_DistillRequest>
        DistillResponse: MessageTypeDefinition<_cirkd_teacher_v1_DistillResponseInput, _cirkd_teacher_v1_DistillResponse>
        Draining: MessageTypeDefinition<_cirkd_teacher_v1_DrainingInput, _cirkd_teacher_v1_Draining>
        Encoding: EnumTypeDefinition
        ErrorReason: EnumTypeDefinition
        GetTeacherRequest: MessageTypeDefinition<_cirkd_teacher_v1_GetTeacherRequestInput, _cirkd_teacher_v1_GetTeacherRequest>
        GetTeacherResponse: MessageTypeDefinition<_cirkd_teacher_v1_GetTeacherResponseInput, _cirkd_teacher_v1_GetTeacherResponse>
        Hello: MessageTypeDefinition<_cirkd_teacher_v1_HelloInput, _cirkd_teacher_v1_Hello>
        Image: MessageTypeDefinition<_cirkd_teacher_v1_ImageInput, _cirkd_teacher_v1_Image>
        ImageError: MessageTypeDefinition<_cirkd_teacher_v1_ImageErrorInput, _cirkd_teacher_v1_ImageError>
        Limits: MessageTypeDefinition<_cirkd_teacher_v1_LimitsInput, _cirkd_teacher_v1_Limits>
        Output: EnumTypeDefinition
        OutputEncoding: MessageTypeDefinition<_cirkd_teacher_v1_OutputEncodingInput, _cirkd_teacher_v1_OutputEncoding>
        SampleKey: MessageTypeDefinition<_cirkd_teacher_v1_SampleKeyInput, _cirkd_teacher_v1_SampleKey>
        TeacherInfo: MessageTypeDefinition<_cirkd_teacher_v1_TeacherInfoInput, _cirkd_teacher_v1_TeacherInfo>
        TeacherService: SubtypeConstructor<typeof grpc.Client, _cirkd_teacher_v1_TeacherServiceClient> & { service: _cirkd_teacher_v1_TeacherServiceDefinition }
        TensorChunk: MessageTypeDefinition<_cirkd_teacher_v1_TensorChunkInput, _cirkd_teacher_v1_TensorChunk>
        Welcome: MessageTypeDefinition<_cirkd_teacher_v1_WelcomeInput, _cirkd_teacher_v1_Welcome>
      }
    }
  }
}

