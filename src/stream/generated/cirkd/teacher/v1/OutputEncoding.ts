// Original file: proto/cirkd/teacher/v1/teacher.proto

import type { OutputInput as _cirkd_teacher_v1_OutputInput, Output as _cirkd_teacher_v1_Output } from '../../../cirkd/teacher/v1/Output.js';
import type { EncodingInput as _cirkd_teacher_v1_EncodingInput, Encoding as _cirkd_teacher_v1_Encoding } from '../../../cirkd/teacher/v1/Encoding.js';

export interface OutputEncodingInput {
  'output'?: (_cirkd_teacher_v1_OutputInput);
  'encoding'?: (_cirkd_teacher_v1_EncodingInput);
}

export interface OutputEncoding {
  'output': (_cirkd_teacher_v1_Output);
  'encoding': (_cirkd_teacher_v1_Encoding);
}
