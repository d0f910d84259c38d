/** op `model_backward`: gradients of the task loss through a whole network, running statistics. */
import { termWeights } from '../../contract/terms.js';
import { Objective } from '../../distill/objective.js';
import { StagedBuffers } from '../../models/buffers.js';
import type { SegmentationNetwork } from '../../models/network.js';
import { onTape, type Tape } from '../../tensor/index.js';
import { hostTensor } from '../hostTensor.js';
import { goldenNetwork, requireEvalMode } from '../models.js';
import type { GoldenCase, HostTensor, OperationResult } from '../operation.js';
import { channelsFirst, channelsLast, hostScalar, labelMaps, tilingOf } from '../tensors.js';

export function modelBackward(golden: GoldenCase): OperationResult {
  requireEvalMode(golden);
  const network = goldenNetwork(golden);
  try {
    return onTape((tape) => lossAndGradients(golden, network, tape));
  } finally {
    network.dispose();
  }
}

function lossAndGradients(
  golden: GoldenCase,
  network: SegmentationNetwork,
  tape: Tape,
): OperationResult {
  const image = tape.leaf(channelsLast(golden.float32('image')));
  const context = { tape, training: false, dropoutSeed: null, staged: new StagedBuffers() };
  const { terms, seeds } = taskOnly(golden).evaluate({
    student: network.forward(context, image),
    labels: labelMaps(golden.int32('labels'), ignoredLabel(golden)),
    teacher: null,
    project: null,
    draws: {
      enqueue: notDrawn,
      samplePixels: notDrawn,
      sampleRegions: notDrawn,
    },
    step: 0,
  });
  const { parameters, leaves } = tape.backward(seeds);
  const result = new Map<string, HostTensor>([
    ['loss', hostScalar(terms.total)],
    ['grad/image', channelsFirst(leaves.get(image)!)],
  ]);
  for (const [parameter, gradient] of parameters) {
    const official = network.officialLayout(parameter, gradient);
    result.set(`grad/${parameter.name}`, hostTensor(official));
  }
  return result;
}

/** The objective of training on labels alone. */
function taskOnly(golden: GoldenCase): Objective {
  return new Objective(
    {
      classes: golden.number('num_classes'),
      teacherChannels: 0,
      weights: termWeights({ task: 1 }),
      auxWeight: typeof golden.params.aux_weight === 'number' ? golden.number('aux_weight') : 0,
      alignCorners: true,
      kdTemperature: 1,
      ...{ cwdTemperature: 4, dsdTemperature: 4 },
      ...{ channelContrastRows: 2048, channelUpdateFreq: 256 },
      contrastTemperature: 1,
      contrastKdTemperature: 1,
      minibatchGroup: 0,
      minibatchPooling: 'never',
      tiling: tilingOf({ tileRows: null }),
      pixelContrastRows: 0,
      regionContrastRows: 0,
      pixelUpdateFreq: 0,
      memoryStartStep: 0,
      pixelEnqueue: 'class',
      allIgnored: 'nan',
    },
    { pixel: null, region: null },
  );
}

function ignoredLabel(golden: GoldenCase): number {
  return typeof golden.params.ignore_label === 'number' ? golden.number('ignore_label') : -1;
}

function notDrawn(): never {
  throw new Error('draws: none are needed without memory banks');
}
