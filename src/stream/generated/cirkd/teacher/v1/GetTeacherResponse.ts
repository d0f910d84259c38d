// Original file: proto/cirkd/teacher/v1/teacher.proto

import type { TeacherInfoInput as _cirkd_teacher_v1_TeacherInfoInput, TeacherInfo as _cirkd_teacher_v1_TeacherInfo } from '../../../cirkd/teacher/v1/TeacherInfo.js';
import type { LimitsInput as _cirkd_teacher_v1_LimitsInput, Limits as _cirkd_teacher_v1_Limits } from '../../../cirkd/teacher/v1/Limits.js';

export interface GetTeacherResponseInput {
  'teacher'?: (_cirkd_teacher_v1_TeacherInfoInput | null);
  'limits'?: (_cirkd_teacher_v1_LimitsInput | null);
  'protocolVersion'?: (number);
}

export interface GetTeacherResponse {
  'teacher': (_cirkd_teacher_v1_TeacherInfo | null);
  'limits': (_cirkd_teacher_v1_Limits | null);
  'protocolVersion': (number);
}
