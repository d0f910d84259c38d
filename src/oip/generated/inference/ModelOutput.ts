// Original file: proto/inference/grpc_service.proto

import type { DataTypeInput as _inference_DataTypeInput, DataType as _inference_DataType } from '../inference/DataType.js';
import type { Long } from '@grpc/proto-loader';

export interface ModelOutputInput {
  'name'?: (string);
  'dataType'?: (_inference_DataTypeInput);
  'dims'?: (number | string | Long)[];
}

export interface ModelOutput {
  'name': (string);
  'dataType': (_inference_DataType);
  'dims': (number)[];
}
