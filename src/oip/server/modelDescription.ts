/** What clients may ask about the model before they send images: its metadata and its configuration. */
import type { TeacherInfo } from '../../contract/teacherInfo.js';
import type { BatchPolicy } from '../../stream/server/requestQueue.js';
import type { ModelConfigInput } from '../generated/inference/ModelConfig.js';
import type { ModelMetadataResponseInput } from '../generated/inference/ModelMetadataResponse.js';
import { MODEL_VERSION } from './modelErrors.js';
import { INPUT_DATATYPE, INPUT_NAME, type ModelTensor } from './modelTensors.js';

export const PLATFORM = 'cirkd';

const DATA_TYPE = { FP32: 'TYPE_FP32', FP16: 'TYPE_FP16' } as const;

export function modelMetadata(
  name: string,
  outputs: readonly ModelTensor[],
): ModelMetadataResponseInput {
  return {
    name,
    versions: [MODEL_VERSION],
    platform: PLATFORM,
    inputs: [{ name: INPUT_NAME, datatype: INPUT_DATATYPE, shape: [-1, -1, -1, 3] }],
    outputs: outputs.map((output) => ({
      name: output.name,
      datatype: output.datatype,
      shape: [-1, ...dimsOf(output)],
    })),
  };
}

/**
 * Triton's form: `dims` lack the batch dimension, which `max_batch_size` above 0 says is there. The
 * contract of the teacher is in `parameters`, each value as JSON.
 */
export function modelConfig(
  name: string,
  outputs: readonly ModelTensor[],
  info: TeacherInfo,
  maxBatchSize: number,
  batch: BatchPolicy,
): ModelConfigInput {
  return {
    name,
    platform: PLATFORM,
    backend: PLATFORM,
    maxBatchSize,
    input: [{ name: INPUT_NAME, dataType: 'TYPE_UINT8', format: 'FORMAT_NHWC', dims: [-1, -1, 3] }],
    output: outputs.map((output) => ({
      name: output.name,
      dataType: DATA_TYPE[output.datatype],
      dims: dimsOf(output),
    })),
    dynamicBatching: { maxQueueDelayMicroseconds: Math.round(batch.maxDelayMs * 1000) },
    modelTransactionPolicy: { decoupled: false },
    parameters: parametersOf(info),
  };
}

function dimsOf({ channels }: ModelTensor): number[] {
  return channels === null ? [-1, -1] : [-1, -1, channels];
}

function parametersOf(info: TeacherInfo): Record<string, { stringValue: string }> {
  const values: Readonly<Record<string, unknown>> = {
    model: info.model,
    digest: info.digest,
    pixel_mean: info.pixelMean,
    pixel_std: info.pixelStd,
    channel_order: info.channelOrder,
    output_stride: info.outputStride,
    align_corners: info.alignCorners,
    class_names: info.classNames,
    numeric_mode: info.numericMode,
  };
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [
      `cirkd.${key}`,
      { stringValue: JSON.stringify(value) },
    ]),
  );
}
