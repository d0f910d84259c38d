/** A model file of a network that has learnt nothing: right in form, quick to make. */
import { writeFileSync } from 'node:fs';
import { STREET_CLASSES } from '../../../src/data/streets/classes.js';
import { writeModelFile } from '../../../src/models/files/modelFile.js';
import { initialWeights } from '../../../src/models/initialise.js';
import { SegmentationNetwork } from '../../../src/models/network.js';

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
  const normalisation = {
    pixelMean: [123.675, 116.28, 103.53],
    pixelStd: [58.395, 57.12, 57.375],
    channelOrder: 'rgb',
  } as const;
  const description = { spec: network.spec, normalisation, classNames };
  writeFileSync(path, writeModelFile(description, network.stateDict()));
  network.dispose();
}
