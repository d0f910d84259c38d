// Original file: proto/inference/grpc_service.proto

import type { InferParameterInput as _inference_InferParameterInput, InferParameter as _inference_InferParameter } from '../inference/InferParameter.js';
import type { InferTensorContentsInput as _inference_InferTensorContentsInput, InferTensorContents as _inference_InferTensorContents } from '../inference/InferTensorContents.js';
import type { Long } from '@grpc/proto-loader';

export interface _inference_ModelInferRequest_InferInputTensorInput {
  'name'?: (string);
  'datatype'?: (string);
  'shape'?: (number | string | Long)[];
  'parameters'?: ({[key: string]: _inference_InferParameterInput});
  'contents'?: (_inference_InferTensorContentsInput | null);
}

export interface _inference_ModelInferRequest_InferInputTensor {
  'name': (string);
  'datatype': (string);
  'shape': (number)[];
  'parameters': ({[key: string]: _inference_InferParameter});
  'contents': (_inference_InferTensorContents | null);
}

export interface _inference_ModelInferRequest_InferRequestedOutputTensorInput {
  'name'?: (string);
  'parameters'?: ({[key: string]: _inference_InferParameterInput});
}

export interface _inference_ModelInferRequest_InferRequestedOutputTensor {
  'name': (string);
  'parameters': ({[key: string]: _inference_InferParameter});
}

export interface ModelInferRequestInput {
  'modelName'?: (string);
  'modelVersion'?: (string);
  'id'?: (string);
  'parameters'?: ({[key: string]: _inference_InferParameterInput});
  'inputs'?: (_inference_ModelInferRequest_InferInputTensorInput)[];
  'outputs'?: (_inference_ModelInferRequest_InferRequestedOutputTensorInput)[];
  'rawInputContents'?: (Buffer | Uint8Array | string)[];
}

export interface ModelInferRequest {
  'modelName': (string);
  'modelVersion': (string);
  'id': (string);
  'parameters': ({[key: string]: _inference_InferParameter});
  'inputs': (_inference_ModelInferRequest_InferInputTensor)[];
  'outputs': (_inference_ModelInferRequest_InferRequestedOutputTensor)[];
  'rawInputContents': (Buffer)[];
}
