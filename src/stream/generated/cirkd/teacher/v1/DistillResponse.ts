// Original file: proto/cirkd/teacher/v1/teacher.proto

import type { WelcomeInput as _cirkd_teacher_v1_WelcomeInput, Welcome as _cirkd_teacher_v1_Welcome } from '../../../cirkd/teacher/v1/Welcome.js';
import type { TensorChunkInput as _cirkd_teacher_v1_TensorChunkInput, TensorChunk as _cirkd_teacher_v1_TensorChunk } from '../../../cirkd/teacher/v1/TensorChunk.js';
import type { ImageErrorInput as _cirkd_teacher_v1_ImageErrorInput, ImageError as _cirkd_teacher_v1_ImageError } from '../../../cirkd/teacher/v1/ImageError.js';
import type { DrainingInput as _cirkd_teacher_v1_DrainingInput, Draining as _cirkd_teacher_v1_Draining } from '../../../cirkd/teacher/v1/Draining.js';
import type { Long } from '@grpc/proto-loader';

export interface DistillResponseInput {
  'welcome'?: (_cirkd_teacher_v1_WelcomeInput | null);
  'tensor'?: (_cirkd_teacher_v1_TensorChunkInput | null);
  'error'?: (_cirkd_teacher_v1_ImageErrorInput | null);
  'creditBytes'?: (number | string | Long);
  'draining'?: (_cirkd_teacher_v1_DrainingInput | null);
  'message'?: "welcome"|"tensor"|"error"|"creditBytes"|"draining";
}

export interface DistillResponse {
  'welcome'?: (_cirkd_teacher_v1_Welcome | null);
  'tensor'?: (_cirkd_teacher_v1_TensorChunk | null);
  'error'?: (_cirkd_teacher_v1_ImageError | null);
  'creditBytes'?: (number);
  'draining'?: (_cirkd_teacher_v1_Draining | null);
  'message'?: "welcome"|"tensor"|"error"|"creditBytes"|"draining";
}
