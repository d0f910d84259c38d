/** The losses with a row of their own, as measured: comparedSide.py is the peer's. */
import { channelTerms } from '../../src/distill/channelTerms.js';
import {
  type Discriminator,
  type DiscriminatorTensors,
  discriminatorShapes,
} from '../../src/losses/adversarial/discriminatorParameters.js';
import { skdDiscriminator, skdHolistic } from '../../src/losses/adversarial/skdHolistic.js';
import { cutAveragePool, cutAveragePoolGrad } from '../../src/losses/averagePool.js';
import { CHANNEL_POOLING } from '../../src/losses/channel/channelRows.js';
import { channelEnergy, energyOfNorms } from '../../src/losses/compared/attentionMap.js';
import { attentionTransfer } from '../../src/losses/compared/attentionTransfer.js';
import { convolvedCwd, cwd } from '../../src/losses/compared/cwd.js';
import { dsdCategory } from '../../src/losses/compared/dsdCategory.js';
import { dsdPixel } from '../../src/losses/compared/dsdPixel.js';
import { fitnet } from '../../src/losses/compared/fitnet.js';
import { ifvd } from '../../src/losses/compared/ifvd.js';
import { skdPairwise } from '../../src/losses/compared/skdPairwise.js';
import { logitsKd } from '../../src/losses/logitsKd.js';
import type { LabelMaps } from '../../src/losses/nearestLabels.js';
import { taskCe } from '../../src/losses/taskCe.js';
import type { Tiling } from '../../src/losses/tiling.js';
import { OUTPUT_STRIDE } from '../../src/contract/teacherInfo.js';
import type { ChannelTerm } from '../../src/contract/terms.js';
import { ChannelMemoryBank } from '../../src/memory/channelMemoryBank.js';
import { fill, float32, ops, scalar, scope, type Tensor, zeros } from '../../src/tensor/index.js';
import { unitValues, values } from './inputs.js';
import { BANK_CHANNELS, CLASSES, type ComparedLoss, type Point, rowsOf } from './points.js';

/** float32, channels last; the teacher's feature has unit rows, so that it is its own raw feature. */
export interface ComparedInputs {
  readonly student_NHWC: Tensor;
  readonly teacher_NHWD: Tensor;
  readonly norm_NHW: Tensor;
  /** [C, D] */
  readonly weight_CD: Tensor;
  /** At the maps' size; those of `task` at full resolution. */
  readonly labels: LabelMaps;
  readonly discriminator: Discriminator | null;
  readonly bank: ChannelMemoryBank | null;
}

export function comparedInputs(point: Point): ComparedInputs {
  const { loss, images, height, width } = point;
  const { student, teacher } = point.channels;
  const map = [images, height, width];
  const rows = rowsOf(point);
  const scale = loss === 'task' ? OUTPUT_STRIDE : 1;
  return {
    student_NHWC: float32(values('student', rows, student), [...map, student]),
    teacher_NHWD: float32(unitValues('teacher', rows, teacher), [...map, teacher]),
    norm_NHW: fill(map, 1),
    weight_CD: float32(values('weight', student, teacher), [student, teacher]),
    labels: labelMaps(images, height * scale, width * scale),
    discriminator: loss === 'skd_holistic' ? discriminator() : null,
    bank: loss === 'memory_channel' ? channelBank(pooled(height) * pooled(width)) : null,
  };
}

const pooled = (length: number) => Math.ceil(length / CHANNEL_POOLING);

function labelMaps(images: number, height: number, width: number): LabelMaps {
  const classes = values('labels', images * height * width, 1);
  const data = Uint8Array.from(classes, (value) =>
    Math.floor(((value + 1) / 2) * (CLASSES - 0.01)),
  );
  return { data, images, height, width };
}

function discriminator(): Discriminator {
  const shapes = Object.entries(discriminatorShapes(CLASSES));
  // [-1, 1], scaled so that a convolution keeps the size of what goes through it.
  const parameters = shapes.map(([name, shape]) => {
    const size = shape.reduce((product, length) => product * length, 1);
    const uniform = float32(values(`discriminator/${name}`, 1, size), shape);
    return [name, ops.mul(uniform, scalar(Math.sqrt((3 * shape.at(-1)!) / size)))];
  });
  const outputs = [64, 128, 256, 512];
  return {
    parameters: Object.fromEntries(parameters) as DiscriminatorTensors,
    state: {
      runningMean_K: zeros([CLASSES]),
      runningVariance_K: fill([CLASSES], 1),
      us: outputs.map((channels) => fill([channels], 1 / Math.sqrt(channels))),
    },
  };
}

function channelBank(positions: number): ChannelMemoryBank {
  const bank = new ChannelMemoryBank({
    ...{ size: BANK_CHANNELS, positions, precision: 'fp32' },
    ...{ ringWrap: 'ring', sampling: 'filled' },
  });
  bank.stage(0, unitValues('bank/channel', BANK_CHANNELS, positions));
  bank.commit();
  return bank;
}

export interface Computed {
  readonly loss: number;
  readonly gradient: Tensor;
}

type Compute = (inputs: ComparedInputs, tiling: Tiling) => Computed;

const TEMPERATURE = 4;

const one = ({ loss, gradient_NHWC }: { loss: number; gradient_NHWC: Tensor }): Computed => ({
  ...{ loss, gradient: gradient_NHWC },
});

const COMPUTE: Readonly<Record<ComparedLoss, Compute>> = {
  task: ({ student_NHWC, labels }) => {
    const options = { ignoreLabel: 255, alignCorners: true };
    const { loss, gradient_NhwK } = taskCe(student_NHWC, labels, options);
    return { loss, gradient: gradient_NhwK };
  },
  logits_kd: ({ student_NHWC, teacher_NHWD }) => {
    const { loss, gradient_NHWK } = logitsKd(student_NHWC, teacher_NHWD, 1);
    return { loss, gradient: gradient_NHWK };
  },
  attention_transfer: ({ student_NHWC, teacher_NHWD, norm_NHW }) => {
    const channels = teacher_NHWD.shape[3]!;
    return one(attentionTransfer(student_NHWC, energyOfNorms(norm_NHW, channels)));
  },
  fitnet: ({ student_NHWC, teacher_NHWD, weight_CD }, tiling) =>
    one(fitnet(student_NHWC, teacher_NHWD, weight_CD, tiling)),
  skd_pairwise: ({ student_NHWC, teacher_NHWD }, tiling) =>
    one(skdPairwise(student_NHWC, teacher_NHWD, tiling)),
  skd_holistic: ({ student_NHWC, teacher_NHWD, discriminator }, tiling) => {
    const own = skdHolistic(student_NHWC, discriminator!, tiling);
    const trained = { ...discriminator!, state: own.state };
    const { loss } = skdDiscriminator(student_NHWC, teacher_NHWD, trained, tiling);
    return { loss: own.loss + loss, gradient: own.gradient_NHWK };
  },
  ifvd: ({ student_NHWC, teacher_NHWD, labels }, tiling) =>
    one(ifvd(student_NHWC, teacher_NHWD, labels, { classes: CLASSES, tiling })),
  cwd_feature: ({ student_NHWC, teacher_NHWD, weight_CD }, tiling) =>
    one(convolvedCwd(student_NHWC, teacher_NHWD, weight_CD, { temperature: TEMPERATURE, tiling })),
  cwd_logits: ({ student_NHWC, teacher_NHWD }, tiling) =>
    one(cwd(student_NHWC, teacher_NHWD, { temperature: TEMPERATURE, tiling })),
  dsd_psd: ({ student_NHWC, teacher_NHWD, labels }) => {
    // Two levels: the feature, and maps that stand for the logits.
    const { data, images, height, width } = labels;
    const numbers_NHW = float32(Float32Array.from(data), [images, height, width]);
    const energies = [channelEnergy(teacher_NHWD), ops.square(numbers_NHW)];
    const { loss, gradients } = dsdPixel([student_NHWC, teacher_NHWD], energies);
    return { loss, gradient: gradients[0]! };
  },
  dsd_csd: ({ student_NHWC, teacher_NHWD }) => {
    const { loss, gradient_NHWK } = dsdCategory(student_NHWC, teacher_NHWD, TEMPERATURE);
    return { loss, gradient: gradient_NHWK };
  },
  minibatch_channel: channelTerm('minibatch_channel'),
  memory_channel: channelTerm('memory_channel'),
  channel_mse: channelTerm('channel_mse'),
};

/** Without the projection head, which is the network's. */
function channelTerm(term: ChannelTerm): Compute {
  const first = (_: number, take: number) => Int32Array.from({ length: take }, (_, i) => i);
  return ({ student_NHWC, teacher_NHWD, bank }, tiling) => {
    const { losses, gradient_NhwD } = channelTerms(
      cutAveragePool(student_NHWC, CHANNEL_POOLING),
      teacher_NHWD,
      bank,
      { enqueueChannels: first, sampleChannels: first },
      {
        weights: { [term]: 1 },
        ...{ contrastTemperature: 0.1, contrastKdTemperature: 1 },
        ...{ channelContrastRows: BANK_CHANNELS, channelUpdateFreq: 0, tiling },
      },
    );
    const gradient = cutAveragePoolGrad(gradient_NhwD, student_NHWC.shape, CHANNEL_POOLING);
    return { loss: losses.get(term)!, gradient };
  };
}

export function computeCompared({ loss }: Point, inputs: ComparedInputs, tiling: Tiling): Computed {
  return scope(() => COMPUTE[loss as ComparedLoss](inputs, tiling));
}
