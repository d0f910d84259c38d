/** Every loss of the methods compared with, at any size: what the tests of all of them run. */
import { channelTerms } from '../../../src/distill/channelTerms.js';
import { channelEnergy } from '../../../src/losses/compared/attentionMap.js';
import { attentionTransfer } from '../../../src/losses/compared/attentionTransfer.js';
import { convolvedCwd, cwd } from '../../../src/losses/compared/cwd.js';
import { dsdCategory } from '../../../src/losses/compared/dsdCategory.js';
import { dsdPixel } from '../../../src/losses/compared/dsdPixel.js';
import { fitnet } from '../../../src/losses/compared/fitnet.js';
import { ifvd } from '../../../src/losses/compared/ifvd.js';
import { skdPairwise } from '../../../src/losses/compared/skdPairwise.js';
import type { LabelMaps } from '../../../src/losses/nearestLabels.js';
import type { Tiling } from '../../../src/losses/tiling.js';
import { ChannelMemoryBank } from '../../../src/memory/channelMemoryBank.js';
import { drawsFor } from '../../../src/random/draws.js';
import { float32, readFloat32, scope, type Tensor } from '../../../src/tensor/index.js';

export interface MapSizes {
  readonly images: number;
  readonly height: number;
  readonly width: number;
  readonly studentChannels: number;
  readonly teacherChannels: number;
}

export interface LossInputs {
  readonly sizes: MapSizes;
  /** [N, H, W, C] */
  readonly student: Float32Array;
  /** [N, H, W, D] */
  readonly teacher: Float32Array;
  /** [C, D] */
  readonly weight: Float32Array;
  readonly labels: LabelMaps;
}

export interface ComparedResult {
  readonly loss: number;
  /** Of the student, and of the trained convolution where there is one. */
  readonly gradients: Readonly<Record<'student' | 'weight', Float32Array | null>>;
}

export const CLASSES = 3;

export function lossInputs(sizes: MapSizes): LossInputs {
  const { images, height, width, studentChannels, teacherChannels } = sizes;
  const positions = images * height * width;
  const data = Uint8Array.from({ length: positions }, (_, i) => (i % 5 === 4 ? 255 : i % CLASSES));
  return {
    sizes,
    student: uniform(positions * studentChannels, 1),
    teacher: uniform(positions * teacherChannels, 2),
    weight: uniform(studentChannels * teacherChannels, 3),
    labels: { data, images, height, width },
  };
}

export function uniform(length: number, stream: number): Float32Array {
  const values = new Float32Array(length);
  drawsFor(17, 'test', stream).fillUniform(values, -1, 1);
  return values;
}

interface Computed {
  readonly loss: number;
  readonly gradient: Tensor;
  readonly weightGradient?: Tensor;
}

interface Tensors {
  readonly student: Tensor;
  readonly teacher: Tensor;
  /** A teacher with the student's channels. */
  readonly like: Tensor;
  readonly weight: Tensor;
  readonly labels: LabelMaps;
}

type Compute = (inputs: Tensors, tiling: Tiling) => Computed;

const one = (result: { loss: number; gradient_NHWC: Tensor }): Computed => ({
  loss: result.loss,
  gradient: result.gradient_NHWC,
});

const both = (result: {
  loss: number;
  gradient_NHWC: Tensor;
  weightGradient_CD: Tensor;
}): Computed => ({ ...one(result), weightGradient: result.weightGradient_CD });

export const COMPARED: Readonly<Record<string, Compute>> = {
  at: ({ student, teacher }) => one(attentionTransfer(student, channelEnergy(teacher))),
  fitnet: ({ student, teacher, weight }, tiling) => both(fitnet(student, teacher, weight, tiling)),
  skd_pairwise: ({ student, teacher }, tiling) => one(skdPairwise(student, teacher, tiling)),
  ifvd: ({ student, teacher, labels }, tiling) =>
    one(ifvd(student, teacher, labels, { classes: CLASSES, tiling })),
  cwd: ({ student, like }, tiling) => one(cwd(student, like, { temperature: 0.5, tiling })),
  cwd_convolved: ({ student, teacher, weight }, tiling) =>
    both(convolvedCwd(student, teacher, weight, { temperature: 0.5, tiling })),
  dsd_psd: ({ student, teacher, like }) => {
    const energies = [channelEnergy(teacher), channelEnergy(like)];
    // The second level is a constant, so that one gradient is the student's.
    const { loss, gradients } = dsdPixel([student, teacher], energies);
    return { loss, gradient: gradients[0]! };
  },
  dsd_csd: ({ student, like }) => {
    const { loss, gradient_NHWK } = dsdCategory(student, like, 0.5);
    return { loss, gradient: gradient_NHWK };
  },
  channel: ({ student, like }, tiling) => channel(student, like, tiling),
};

/** All three channel terms; the map stands for the projected student, the teacher is not pooled. */
function channel(student: Tensor, teacher: Tensor, tiling: Tiling): Computed {
  const [, height = 0, width = 0] = student.shape;
  const bank = new ChannelMemoryBank({
    ...{ size: 12, positions: height * width, precision: 'fp32' },
    ...{ ringWrap: 'ring', sampling: 'filled' },
  });
  const first = (_: number, take: number) => Int32Array.from({ length: take }, (_, i) => i);
  const { losses, gradient_NhwD } = channelTerms(
    student,
    fourfold(teacher),
    bank,
    { enqueueChannels: first, sampleChannels: first },
    {
      weights: { minibatch_channel: 1, memory_channel: 0.1, channel_mse: 10 },
      ...{ contrastTemperature: 0.5, contrastKdTemperature: 2 },
      ...{ channelContrastRows: 9, channelUpdateFreq: 6, tiling },
    },
  );
  const loss =
    losses.get('minibatch_channel')! +
    0.1 * losses.get('memory_channel')! +
    10 * losses.get('channel_mse')!;
  return { loss, gradient: gradient_NhwD };
}

/** Each position 4 x 4 times: pooling by 4 gives the map back. */
function fourfold(map_NHWC: Tensor): Tensor {
  const [images = 0, height = 0, width = 0, channels = 0] = map_NHWC.shape;
  const values = readFloat32(map_NHWC);
  const wide = new Float32Array(16 * values.length);
  for (let row = 0; row < images * height * 4; row++) {
    for (let column = 0; column < 4 * width; column++) {
      const from = (Math.floor(row / 4) * width + Math.floor(column / 4)) * channels;
      wide.set(values.subarray(from, from + channels), (row * 4 * width + column) * channels);
    }
  }
  return float32(wide, [images, 4 * height, 4 * width, channels]);
}

export function comparedLoss(name: string, inputs: LossInputs, tiling: Tiling): ComparedResult {
  const { sizes, labels } = inputs;
  const map = (values: Float32Array, channels: number) =>
    float32(values.slice(), [sizes.images, sizes.height, sizes.width, channels]);
  const { studentChannels, teacherChannels } = sizes;
  return scope(() => {
    const result = COMPARED[name]!(
      {
        student: map(inputs.student, studentChannels),
        teacher: map(inputs.teacher, teacherChannels),
        like: map(uniform(inputs.student.length, 4), studentChannels),
        weight: float32(inputs.weight.slice(), [studentChannels, teacherChannels]),
        labels,
      },
      tiling,
    );
    const weight = result.weightGradient;
    return {
      loss: result.loss,
      gradients: {
        student: readFloat32(result.gradient),
        weight: weight === undefined ? null : readFloat32(weight),
      },
    };
  });
}
