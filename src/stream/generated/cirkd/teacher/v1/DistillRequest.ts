// Original file: proto/cirkd/teacher/v1/teacher.proto

import type { HelloInput as _cirkd_teacher_v1_HelloInput, Hello as _cirkd_teacher_v1_Hello } from '../../../cirkd/teacher/v1/Hello.js';
import type { ImageInput as _cirkd_teacher_v1_ImageInput, Image as _cirkd_teacher_v1_Image } from '../../../cirkd/teacher/v1/Image.js';
import type { CancelInput as _cirkd_teacher_v1_CancelInput, Cancel as _cirkd_teacher_v1_Cancel } from '../../../cirkd/teacher/v1/Cancel.js';
import type { Long } from '@grpc/proto-loader';

export interface DistillRequestInput {
  'hello'?: (_cirkd_teacher_v1_HelloInput | null);
  'image'?: (_cirkd_teacher_v1_ImageInput | null);
  'cancel'?: (_cirkd_teacher_v1_CancelInput | null);
  'creditBytes'?: (number | string | Long);
  'message'?: "hello"|"image"|"cancel"|"creditBytes";
}

export interface DistillRequest {
  'hello'?: (_cirkd_teacher_v1_Hello | null);
  'image'?: (_cirkd_teacher_v1_Image | null);
  'cancel'?: (_cirkd_teacher_v1_Cancel | null);
  'creditBytes'?: (number);
  'message'?: "hello"|"image"|"cancel"|"creditBytes";
}
