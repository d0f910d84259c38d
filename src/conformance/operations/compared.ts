/** The ops of the methods compared with: one loss of student and teacher maps each. */
import { channelEnergy, energyOfNorms } from '../../losses/compared/attentionMap.js';
import { attentionTransfer } from '../../losses/compared/attentionTransfer.js';
import { convolvedCwd, cwd as cwdLoss } from '../../losses/compared/cwd.js';
import { dsdCategory } from '../../losses/compared/dsdCategory.js';
import { dsdPixel } from '../../losses/compared/dsdPixel.js';
import { fitnet as fitnetLoss } from '../../losses/compared/fitnet.js';
import { ifvd as ifvdLoss } from '../../losses/compared/ifvd.js';
import { skdPairwise as skdPairwiseLoss } from '../../losses/compared/skdPairwise.js';
import { nearestLabels } from '../../losses/nearestLabels.js';
import { scope, type Tensor } from '../../tensor/index.js';
import type { GoldenCase, HostTensor, Operation, OperationResult } from '../operation.js';
import {
  channelsFirst,
  channelsLast,
  hostScalar,
  labelMaps,
  officialPointwise,
  pointwiseWeights,
  teacherFeature,
  tilingOf,
  travelledFeature,
} from '../tensors.js';

/** `at`: attention transfer. Of the teacher only the norms are used. */
export const at: Operation = (golden) =>
  scope(() => {
    const teacher = teacherFeature(golden.float32('teacher'));
    const channels = teacher.embedding_NHWD.shape[3]!;
    const energy_NHW = energyOfNorms(teacher.norm_NHW, channels);
    return results(attentionTransfer(student(golden), energy_NHW));
  });

/** `fitnet`: hints through a 1x1 convolution. */
export const fitnet: Operation = (golden, options) =>
  scope(() => {
    const weight_CD = pointwiseWeights(golden.float32('conv.weight'));
    const teacher_NHWD = travelledFeature(golden.float32('teacher'));
    return results(fitnetLoss(student(golden), teacher_NHWD, weight_CD, tilingOf(options)));
  });

/** `skd_pairwise`: similarities of positions in an image. */
export const skdPairwise: Operation = (golden, options) =>
  scope(() => {
    const teacher_NHWD = travelledFeature(golden.float32('teacher'));
    return results(skdPairwiseLoss(student(golden), teacher_NHWD, tilingOf(options)));
  });

/** `ifvd`: similarity of positions and their class's centre. */
export const ifvd: Operation = (golden, options) =>
  scope(() => {
    const student_NHWC = student(golden);
    const [, height = 0, width = 0] = student_NHWC.shape;
    const full = labelMaps(golden.int32('labels'), golden.number('ignore_label'));
    return results(
      ifvdLoss(
        student_NHWC,
        travelledFeature(golden.float32('teacher')),
        nearestLabels(full, height, width),
        { classes: golden.number('num_classes'), tiling: tilingOf(options) },
      ),
    );
  });

/** `cwd`: distributions over positions, of features or logits. */
export const cwd: Operation = (golden, options) =>
  scope(() => {
    const settings = { temperature: golden.number('temperature'), tiling: tilingOf(options) };
    const [student_NHWC, teacher_NHWD] = [student(golden), channelsLast(golden.float32('teacher'))];
    if (student_NHWC.shape[3] === teacher_NHWD.shape[3]) {
      return results(cwdLoss(student_NHWC, teacher_NHWD, settings));
    }
    const weight_CD = pointwiseWeights(golden.float32('conv.weight'));
    return results(convolvedCwd(student_NHWC, teacher_NHWD, weight_CD, settings));
  });

/** `dsd_psd`: differences between the attention maps of levels. */
export const dsdPsd: Operation = (golden) =>
  scope(() => {
    const levels = Array.from({ length: golden.number('levels') }, (_, level) => level);
    const ofLevel = (side: string) =>
      levels.map((level) => channelsLast(golden.float32(`${side}/${level}`)));
    const { loss, gradients } = dsdPixel(ofLevel('student'), ofLevel('teacher').map(channelEnergy));
    const result = new Map<string, HostTensor>([['loss', hostScalar(loss)]]);
    for (const [level, gradient] of gradients.entries()) {
      result.set(`grad/student/${level}`, channelsFirst(gradient));
    }
    return result;
  });

/** `dsd_csd`: similarities of classes. */
export const dsdCsd: Operation = (golden) =>
  scope(() => {
    const { loss, gradient_NHWK } = dsdCategory(
      student(golden),
      channelsLast(golden.float32('teacher')),
      golden.number('temperature'),
    );
    return results({ loss, gradient_NHWC: gradient_NHWK });
  });

const student = (golden: GoldenCase) => channelsLast(golden.float32('student'));

interface ComparedLoss {
  readonly loss: number;
  readonly gradient_NHWC: Tensor;
  readonly weightGradient_CD?: Tensor;
}

function results({ loss, gradient_NHWC, weightGradient_CD }: ComparedLoss): OperationResult {
  const result = new Map<string, HostTensor>([
    ['loss', hostScalar(loss)],
    ['grad/student', channelsFirst(gradient_NHWC)],
  ]);
  if (weightGradient_CD !== undefined) {
    result.set('grad/conv.weight', officialPointwise(weightGradient_CD));
  }
  return result;
}
