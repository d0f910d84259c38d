/** A model file of a network that has learnt nothing: right in form and in the scale of its values, quick to make. */
import { writeFileSync } from 'node:fs';
import { STREET_CLASSES } from '../../../src/data/streets/classes.js';
import { StagedBuffers } from '../../../src/models/buffers.js';
import { writeModelFile } from '../../../src/models/files/modelFile.js';
import { initialWeights } from '../../../src/models/initialise.js';
import { SegmentationNetwork } from '../../../src/models/network.js';
import { drawsFor } from '../../../src/random/draws.js';
import { float32, scope, Tape } from '../../../src/tensor/index.js';

/** After so many passes 0.9^32 = 3 % of the statistics are still the initial ones. */
const PASSES = 32;
const NOISE_NHWC: readonly number[] = [2, 32, 32, 3];

/** DeepLabV3 on MobileNetV2 for the synthetic streets. */
export function writeUntrainedModel(path: string, widthMultiplier: number): void {
  const classNames = STREET_CLASSES.map(([name]) => name);
  const network = SegmentationNetwork.create(
    {
      model: 'deeplab_mobile',
      backbone: 'mobilenetv2',
      variant: 'v1',
      numClasses: classNames.length,
      widthMultiplier,
    },
    initialWeights(7),
  );
  settleStatistics(network);
  const normalisation = {
    pixelMean: [123.675, 116.28, 103.53],
    pixelStd: [58.395, 57.12, 57.375],
    channelOrder: 'rgb',
  } as const;
  const description = { spec: network.spec, normalisation, classNames };
  writeFileSync(path, writeModelFile(description, network.stateDict()));
  network.dispose();
}

/**
 * Gives the batch norms the statistics of normalised noise. With the initial ones each layer shrinks its input, and
 * the outputs end near 1e-8, where half precision has nothing left and any absolute tolerance holds.
 */
function settleStatistics(network: SegmentationNetwork): void {
  const values = new Float32Array(NOISE_NHWC.reduce((product, size) => product * size));
  for (let pass = 0; pass < PASSES; pass++) {
    drawsFor(7, 'test', pass).fillNormal(values, 0, 1);
    const [tape, staged] = [new Tape(false), new StagedBuffers()];
    scope(() => {
      const image_NHWC = tape.constant(float32(values, [...NOISE_NHWC]));
      network.forward({ tape, training: true, dropoutSeed: null, staged }, image_NHWC);
    });
    tape.dispose();
    staged.commit();
  }
}
