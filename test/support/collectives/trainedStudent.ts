/** A student whose gradients fill several buckets, after a few steps in a group. */
import { createHash } from 'node:crypto';
import { StudentWork } from '../../../services/cli/bench/studentWork.js';
import { studentBatch } from '../../../services/cli/bench/inputs.js';
import type { Workload } from '../../../services/cli/bench/workload.js';
import type { Collective, CollectiveUse } from '../../../src/collectives/collective.js';
import { ops, scalar, scope } from '../../../src/tensor/index.js';
import { Trainer } from '../../../src/train/trainer.js';

const STEPS = 2;

/** 14 million weights. */
const WORKLOAD: Workload = {
  ...({ model: 'deeplabv3', backbone: 'resnet18', variant: 'v1', loss: 'cirkd' } as const),
  ...{ widthMultiplier: 1, classes: 3, images: 2, height: 32, width: 32, teacherChannels: 8 },
  bankRows: { pixel: 16, region: 4 },
};

export interface TrainedStudent {
  /** sha256 of the weights. */
  readonly sha: string;
  readonly use: CollectiveUse;
}

/** Each step has two micro-batches, which differ between the ranks. */
export function trainedStudent(rank: number, group: Collective, overlap: boolean): TrainedStudent {
  const work = new StudentWork(WORKLOAD, group);
  const trainer = new Trainer({ ...work.trainer.parts, overlap });
  group.takeUse();
  for (let step = 0; step < STEPS; step++) {
    scope(() => {
      const batches = [1, 2].map((microBatch) => {
        const batch = studentBatch(WORKLOAD);
        const factor = scalar(microBatch + rank / 4);
        return { ...batch, image_NHWC: ops.mul(batch.image_NHWC, factor) };
      });
      const { kind } = trainer.step(step, batches);
      if (kind !== 'committed') throw new Error(`step ${step}: ${kind}`);
    });
  }
  const use = group.takeUse();
  const sum = createHash('sha256');
  const { network, projectionHead } = trainer.parts;
  for (const parameter of [...network.parameters(), ...projectionHead!.parameters()]) {
    sum.update(new Uint8Array(parameter.toFloat32().slice().buffer));
  }
  work.dispose();
  return { sha: sum.digest('hex'), use };
}
