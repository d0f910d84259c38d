/**
 * The input of a measurement: recipe values (shared with the peer of bench/step), not a dataset.
 *
 * N images, H W pixels, h w positions of the networks' outputs, K classes, D teacher channels.
 */
import { recipeValues } from '../../../src/conformance/recipe.js';
import type { Objective } from '../../../src/distill/objective.js';
import type { TeacherOutputs } from '../../../src/distill/networkOutputs.js';
import type { LabelMaps } from '../../../src/losses/nearestLabels.js';
import type { InferenceImage } from '../../../src/contract/inference.js';
import { outputStrideOf } from '../../../src/models/zoo.js';
import { float32, ops, scalar, scope, type Tensor } from '../../../src/tensor/index.js';
import type { TrainingBatch } from '../../../src/train/trainer.js';
import type { Workload } from './workload.js';

export const SALT = 'bench/step';
/** Side of the squares that share a label, in pixels: about the size of regions in street scenes. */
const LABEL_BLOCK = 32;
const IGNORED = 255;

/** h and w of the networks' outputs. */
export function outputSize({ model, height, width }: Workload): [number, number] {
  const stride = outputStrideOf(model);
  return [Math.ceil(height / stride), Math.ceil(width / stride)];
}

/** A float32 tensor of this shape with values between the bounds, a pure function of the name. */
export function madeTensor(
  name: string,
  shape: readonly number[],
  low: number,
  high: number,
): Tensor {
  return float32(recipeValues({ salt: SALT, name, shape, low, high }), shape);
}

/** A batch whose tensors belong to the caller's scope. */
export function studentBatch(workload: Workload): TrainingBatch {
  const { images, height, width } = workload;
  return {
    image_NHWC: madeTensor('image', [images, height, width, 3], -2, 2),
    labels: madeLabels(workload),
    teacher: workload.loss === 'labels' ? null : madeTeacher(workload),
  };
}

/** Squares of random classes; one in K + 1 is ignored. */
export function madeLabels({ images, height, width, classes }: Workload): LabelMaps {
  const rows = Math.ceil(height / LABEL_BLOCK);
  const columns = Math.ceil(width / LABEL_BLOCK);
  const shape = [images, rows, columns];
  const blocks = recipeValues({ salt: SALT, name: 'labels', shape, low: 0, high: classes + 1 });
  const data = new Uint8Array(images * height * width);
  for (let at = 0; at < data.length; at++) {
    const column = Math.floor((at % width) / LABEL_BLOCK);
    const row = Math.floor((Math.floor(at / width) % height) / LABEL_BLOCK);
    const image = Math.floor(at / (height * width));
    const label = Math.floor(blocks[(image * rows + row) * columns + column]!);
    data[at] = label < classes ? label : IGNORED;
  }
  return { data, images, height, width };
}

function madeTeacher(workload: Workload): TeacherOutputs {
  const map = [workload.images, ...outputSize(workload)];
  return scope(() => {
    const feature_NHWD = madeTensor('feature', [...map, workload.teacherChannels], -1, 1);
    const norm_NHW1 = ops.sqrt(ops.sum(ops.square(feature_NHWD), [3], true));
    return {
      logits: madeTensor('teacher_logits', [...map, workload.classes], -4, 4),
      embedding: ops.div(feature_NHWD, ops.maximum(norm_NHW1, scalar(1e-12))),
      featureNorm: ops.reshape(norm_NHW1, map),
      auxNorm: null,
    };
  });
}

/** The images in the form in which they arrive over the wire. */
export function rgbImages({ images, height, width }: Workload): InferenceImage[] {
  const shape = [height, width, 3];
  return Array.from({ length: images }, (_, image) => {
    const values = recipeValues({ salt: SALT, name: `rgb/${image}`, shape, low: 0, high: 256 });
    return { height, width, rgb: Uint8Array.from(values, (value) => Math.min(255, value)) };
  });
}

/** Fills every slot, so that a step draws as many rows as in the middle of a run. */
export function fillBanks({ banks }: Objective): void {
  for (const bank of [banks.pixel, banks.region]) {
    if (bank === null) continue;
    const { classes, size, channels } = bank.options;
    for (let classNumber = 0; classNumber < classes; classNumber++) {
      const name = `${bank.name}_bank/${classNumber}`;
      const shape = [size, channels];
      bank.stage(classNumber, recipeValues({ salt: SALT, name, shape, low: -1, high: 1 }));
      bank.commit();
    }
  }
}
