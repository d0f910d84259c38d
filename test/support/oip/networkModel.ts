/**
 * A network of this project as another program would serve it: normalised pixels FP32 [N, 3, H, W] in,
 * logits and raw feature FP32 [N, C, h, w] out.
 */
import { readFileSync } from 'node:fs';
import { inferenceContext } from '../../../src/models/context.js';
import { readModelFile } from '../../../src/models/files/modelFile.js';
import { SegmentationNetwork } from '../../../src/models/network.js';
import type { ModelInferRequest } from '../../../src/oip/generated/inference/ModelInferRequest.js';
import type { ModelInferResponseInput } from '../../../src/oip/generated/inference/ModelInferResponse.js';
import { float32, ops, readFloat32, scope, type Tensor } from '../../../src/tensor/index.js';
import type { ServedModel } from './scriptedOipServer.js';

/** @param hasTritonExtensions ModelConfig and ModelStreamInfer, as Triton has them */
export function networkModel(modelFile: string, hasTritonExtensions: boolean): ServedModel {
  const { description, tensors } = readModelFile(readFileSync(modelFile));
  const network = SegmentationNetwork.load(description.spec, tensors);
  const channels = { logits: description.spec.numClasses, feature: network.featureChannels };
  const outputs = Object.entries(channels).map(([name, count]) => ({
    ...{ name, datatype: 'FP32', shape: [-1, count, -1, -1] },
  }));
  return {
    metadata: {
      ...{ name: 'segmenter', versions: ['1'], platform: 'network' },
      inputs: [{ name: 'pixels', datatype: 'FP32', shape: [-1, 3, -1, -1] }],
      outputs,
    },
    config: hasTritonExtensions ? { name: 'segmenter', maxBatchSize: 4 } : null,
    answer: (request) => forward(network, request),
  };
}

function forward(
  network: SegmentationNetwork,
  { inputs, outputs, rawInputContents }: ModelInferRequest,
): ModelInferResponseInput {
  const context = inferenceContext();
  try {
    return scope(() => {
      const pixels = new Float32Array(new Uint8Array(rawInputContents[0]!).buffer);
      const image_NHWC = ops.transpose(float32(pixels, inputs[0]!.shape), [0, 2, 3, 1]);
      const maps = network.forward(context, context.tape.constant(image_NHWC), { aux: false });
      const values: Record<string, Tensor> = {
        logits: maps.logits.value,
        feature: maps.feature.value,
      };
      const planes = outputs.map(({ name }) => ops.transpose(values[name]!, [0, 3, 1, 2]));
      return {
        outputs: planes.map(({ shape }, index) => ({
          ...{ name: outputs[index]!.name, datatype: 'FP32', shape: [...shape] },
        })),
        rawOutputContents: planes.map((plane) => Buffer.from(readFloat32(plane).buffer)),
      };
    });
  } finally {
    context.tape.dispose();
  }
}
