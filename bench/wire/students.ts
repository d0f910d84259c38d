/** A student in training, ahead of the losses: what it gives for a batch. */
import { readFile } from 'node:fs/promises';
import { buildTrainer } from '../../services/student/trainer.js';
import { configOf, type Workload } from '../../services/cli/bench/workload.js';
import type { LabelMaps } from '../../src/losses/nearestLabels.js';
import { StagedBuffers } from '../../src/models/buffers.js';
import { readModelFile } from '../../src/models/files/modelFile.js';
import { normalise, OFFICIAL_NORMALISATION, type PixelImages } from '../../src/models/normalise.js';
import { scope, Tape } from '../../src/tensor/index.js';
import type { Trainer } from '../../src/train/trainer.js';
import type { StudentPass } from './termProbe.js';

export interface BenchStudent {
  readonly name: string;
  readonly settings: Trainer['parts']['objective']['settings'];
  /** Batch statistics, no dropout. The tensors belong to the caller's scope. */
  forward(images: PixelImages, labels: LabelMaps): StudentPass;
}

/** The network of a model file, or a DeepLabV3-ResNet-18 for `classes` with drawn weights. */
export async function benchStudent(
  name: string,
  file: string | null,
  sizes: Pick<Workload, 'classes' | 'teacherChannels' | 'height' | 'width'>,
): Promise<BenchStudent> {
  const model = file === null ? null : readModelFile(await readFile(file));
  const spec = model?.description.spec ?? RESNET18;
  const normalisation = model?.description.normalisation ?? OFFICIAL_NORMALISATION;
  const config = configOf({
    ...spec,
    ...{ ...sizes, loss: 'cirkd', images: 2, bankRows: BANK_ROWS },
  });
  const { network, projectionHead, objective } = buildTrainer({ ...sizes, config }).parts;
  if (model !== null) network.loadStateDict(model.tensors, { strict: true });
  return {
    name,
    settings: objective.settings,
    forward(images, labels) {
      return scope(() => {
        const staged = new StagedBuffers();
        const context = { tape: new Tape(false), training: true, dropoutSeed: null, staged };
        const image = context.tape.constant(normalise(images, normalisation));
        const { logits, feature } = network.forward(context, image);
        const projected = projectionHead!.forward(context, feature);
        staged.discard();
        return { logits, feature, projected, labels };
      });
    },
  };
}

const RESNET18 = {
  model: 'deeplabv3',
  backbone: 'resnet18',
  variant: 'v1',
  widthMultiplier: 1,
} as const;

/** Rows of each class: the banks fill within the bench, and old rows are seen beside new ones. */
export const BANK_ROWS = { pixel: 512, region: 64 } as const;
