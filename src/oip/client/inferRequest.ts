/** The message that asks for one image. */
import type { ModelInferRequestInput } from '../generated/inference/ModelInferRequest.js';
import type { OipAddress } from './address.js';
import type { ModelInput } from './modelInput.js';

const CHANNELS = 3;

interface InferRequest {
  readonly model: Pick<OipAddress, 'model' | 'version'>;
  readonly id: string;
  readonly input: Pick<ModelInput, 'name' | 'datatype' | 'layout' | 'hasBatchAxis'>;
  /** Names of the outputs that are wanted; none: all. */
  readonly outputs: readonly string[];
  readonly height: number;
  readonly width: number;
  /** The pixels in the input's data type and layout. */
  readonly data: Uint8Array;
}

export function inferRequest(request: InferRequest): ModelInferRequestInput {
  const { model, id, input, outputs, height, width, data } = request;
  const image = input.layout === 'nchw' ? [CHANNELS, height, width] : [height, width, CHANNELS];
  return {
    modelName: model.model,
    modelVersion: model.version,
    id,
    inputs: [
      {
        name: input.name,
        datatype: input.datatype,
        shape: [...(input.hasBatchAxis ? [1] : []), ...image],
      },
    ],
    outputs: outputs.map((name) => ({ name })),
    rawInputContents: [data],
  };
}
