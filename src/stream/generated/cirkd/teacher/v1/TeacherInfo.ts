// Original file: proto/cirkd/teacher/v1/teacher.proto

import type { ChannelOrderInput as _cirkd_teacher_v1_ChannelOrderInput, ChannelOrder as _cirkd_teacher_v1_ChannelOrder } from '../../../cirkd/teacher/v1/ChannelOrder.js';
import type { EncodingInput as _cirkd_teacher_v1_EncodingInput, Encoding as _cirkd_teacher_v1_Encoding } from '../../../cirkd/teacher/v1/Encoding.js';

export interface TeacherInfoInput {
  'digest'?: (string);
  'model'?: (string);
  'classes'?: (number);
  'featureChannels'?: (number);
  'outputStride'?: (number);
  'pixelMean'?: (number | string)[];
  'pixelStd'?: (number | string)[];
  'channelOrder'?: (_cirkd_teacher_v1_ChannelOrderInput);
  'numericMode'?: (string);
  'encodings'?: (_cirkd_teacher_v1_EncodingInput)[];
  'classNames'?: (string)[];
  'halfPixelCenters'?: (boolean);
  'hasAuxLogits'?: (boolean);
}

export interface TeacherInfo {
  'digest': (string);
  'model': (string);
  'classes': (number);
  'featureChannels': (number);
  'outputStride': (number);
  'pixelMean': (number)[];
  'pixelStd': (number)[];
  'channelOrder': (_cirkd_teacher_v1_ChannelOrder);
  'numericMode': (string);
  'encodings': (_cirkd_teacher_v1_Encoding)[];
  'classNames': (string)[];
  'halfPixelCenters': (boolean);
  'hasAuxLogits': (boolean);
}
