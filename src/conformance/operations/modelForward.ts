/** op `model_forward`: outputs and intermediate stages of a whole network in inference. */
import { inferenceContext } from '../../models/context.js';
import { scope } from '../../tensor/index.js';
import { goldenNetwork, requireEvalMode } from '../models.js';
import type { GoldenCase, HostTensor, OperationResult } from '../operation.js';
import { channelsFirst, channelsLast } from '../tensors.js';

export function modelForward(golden: GoldenCase): OperationResult {
  requireEvalMode(golden);
  const network = goldenNetwork(golden);
  try {
    const maps = scope(() => {
      const stages = new Map<string, HostTensor>();
      const context = {
        ...inferenceContext(),
        observe: (stage: string, output: { value: Parameters<typeof channelsFirst>[0] }) => {
          stages.set(`stage/${stage}`, channelsFirst(output.value));
        },
      };
      const image = context.tape.constant(channelsLast(golden.float32('image')));
      const { logits, aux, feature } = network.forward(context, image);
      const outputs = new Map(stages);
      outputs.set('logits', channelsFirst(logits.value));
      outputs.set('embedding', channelsFirst(feature.value));
      if (aux !== null) outputs.set('aux', channelsFirst(aux.value));
      context.tape.dispose();
      return outputs;
    });
    return withShapesAndStats(maps);
  } finally {
    network.dispose();
  }
}

function withShapesAndStats(maps: ReadonlyMap<string, HostTensor>): OperationResult {
  const result = new Map(maps);
  for (const [key, tensor] of maps) {
    result.set(`${key}_shape`, { data: Int32Array.from(tensor.shape), shape: [4] });
    result.set(`stats/${key}`, { data: meanAndDeviation(tensor), shape: [2] });
  }
  return result;
}

/** Mean and population standard deviation. */
function meanAndDeviation({ data }: HostTensor): Float64Array {
  let sum = 0;
  for (const value of data) sum += Number(value);
  const mean = sum / data.length;
  let squares = 0;
  for (const value of data) squares += (Number(value) - mean) ** 2;
  return Float64Array.of(mean, Math.sqrt(squares / data.length));
}
