// Original file: proto/inference/grpc_service.proto

import type { ModelInputInput as _inference_ModelInputInput, ModelInput as _inference_ModelInput } from '../inference/ModelInput.js';
import type { ModelOutputInput as _inference_ModelOutputInput, ModelOutput as _inference_ModelOutput } from '../inference/ModelOutput.js';
import type { ModelDynamicBatchingInput as _inference_ModelDynamicBatchingInput, ModelDynamicBatching as _inference_ModelDynamicBatching } from '../inference/ModelDynamicBatching.js';
import type { ModelParameterInput as _inference_ModelParameterInput, ModelParameter as _inference_ModelParameter } from '../inference/ModelParameter.js';
import type { ModelTransactionPolicyInput as _inference_ModelTransactionPolicyInput, ModelTransactionPolicy as _inference_ModelTransactionPolicy } from '../inference/ModelTransactionPolicy.js';

export interface ModelConfigInput {
  'name'?: (string);
  'platform'?: (string);
  'maxBatchSize'?: (number);
  'input'?: (_inference_ModelInputInput)[];
  'output'?: (_inference_ModelOutputInput)[];
  'dynamicBatching'?: (_inference_ModelDynamicBatchingInput | null);
  'parameters'?: ({[key: string]: _inference_ModelParameterInput});
  'backend'?: (string);
  'modelTransactionPolicy'?: (_inference_ModelTransactionPolicyInput | null);
}

export interface ModelConfig {
  'name': (string);
  'platform': (string);
  'maxBatchSize': (number);
  'input': (_inference_ModelInput)[];
  'output': (_inference_ModelOutput)[];
  'dynamicBatching': (_inference_ModelDynamicBatching | null);
  'parameters': ({[key: string]: _inference_ModelParameter});
  'backend': (string);
  'modelTransactionPolicy': (_inference_ModelTransactionPolicy | null);
}
