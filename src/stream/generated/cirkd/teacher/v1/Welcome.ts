// Original file: proto/cirkd/teacher/v1/teacher.proto

import type { TeacherInfoInput as _cirkd_teacher_v1_TeacherInfoInput, TeacherInfo as _cirkd_teacher_v1_TeacherInfo } from '../../../cirkd/teacher/v1/TeacherInfo.js';
import type { OutputEncodingInput as _cirkd_teacher_v1_OutputEncodingInput, OutputEncoding as _cirkd_teacher_v1_OutputEncoding } from '../../../cirkd/teacher/v1/OutputEncoding.js';
import type { LimitsInput as _cirkd_teacher_v1_LimitsInput, Limits as _cirkd_teacher_v1_Limits } from '../../../cirkd/teacher/v1/Limits.js';
import type { Long } from '@grpc/proto-loader';

export interface WelcomeInput {
  'protocolVersion'?: (number);
  'teacher'?: (_cirkd_teacher_v1_TeacherInfoInput | null);
  'outputs'?: (_cirkd_teacher_v1_OutputEncodingInput)[];
  'limits'?: (_cirkd_teacher_v1_LimitsInput | null);
  'creditBytes'?: (number | string | Long);
  'cachesAnswers'?: (boolean);
}

export interface Welcome {
  'protocolVersion': (number);
  'teacher': (_cirkd_teacher_v1_TeacherInfo | null);
  'outputs': (_cirkd_teacher_v1_OutputEncoding)[];
  'limits': (_cirkd_teacher_v1_Limits | null);
  'creditBytes': (number);
  'cachesAnswers': (boolean);
}
