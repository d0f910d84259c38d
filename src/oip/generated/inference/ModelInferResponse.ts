// Original file: proto/inference/grpc_service.proto

import type { InferParameterInput as _inference_InferParameterInput, InferParameter as _inference_InferParameter } from '../inference/InferParameter.js';
import type { InferTensorContentsInput as _inference_InferTensorContentsInput, InferTensorContents as _inference_InferTensorContents } from '../inference/InferTensorContents.js';
import type { Long } from '@grpc/proto-loader';

export interface _inference_ModelInferResponse_InferOutputTensorInput {
  'name'?: (string);
  'datatype'?: (string);
  'shape'?: (number | string | Long)[];
  'parameters'?: ({[key: string]: _inference_InferParameterInput});
  'contents'?: (_inference_InferTensorContentsInput | null);
}

export interface _inference_ModelInferResponse_InferOutputTensor {
  'name': (string);
  'datatype': (string);
  'shape': (number)[];
  'parameters': ({[key: string]: _inference_InferParameter});
  'contents': (_inference_InferTensorContents | null);
}

export interface ModelInferResponseInput {
  'modelName'?: (string);
  'modelVersion'?: (string);
  'id'?: (string);
  'parameters'?: ({[key: string]: _inference_InferParameterInput});
  'outputs'?: (_inference_ModelInferResponse_InferOutputTensorInput)[];
  'rawOutputContents'?: (Buffer | Uint8Array | string)[];
}

export interface ModelInferResponse {
  'modelName': (string);
  'modelVersion': (string);
  'id': (string);
  'parameters': ({[key: string]: _inference_InferParameter});
  'outputs': (_inference_ModelInferResponse_InferOutputTensor)[];
  'rawOutputContents': (Buffer)[];
}
