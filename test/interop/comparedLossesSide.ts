/** What a case of comparedLossesPlan.ts gives here, by the peer's names and in PyTorch's layout. */
import { toChannelsFirst, toChannelsLast } from '../../src/conformance/layout.js';
import { officialPointwise, pointwiseWeights } from '../../src/conformance/tensors.js';
import { channelTerms } from '../../src/distill/channelTerms.js';
import type {
  DiscriminatorParameter,
  DiscriminatorTensors,
} from '../../src/losses/adversarial/discriminatorParameters.js';
import { skdDiscriminator, skdHolistic } from '../../src/losses/adversarial/skdHolistic.js';
import { channelEnergy } from '../../src/losses/compared/attentionMap.js';
import { attentionTransfer } from '../../src/losses/compared/attentionTransfer.js';
import { convolvedCwd, cwd } from '../../src/losses/compared/cwd.js';
import { dsdCategory } from '../../src/losses/compared/dsdCategory.js';
import { dsdPixel } from '../../src/losses/compared/dsdPixel.js';
import { fitnet } from '../../src/losses/compared/fitnet.js';
import { ifvd } from '../../src/losses/compared/ifvd.js';
import { skdPairwise } from '../../src/losses/compared/skdPairwise.js';
import { nearestLabels } from '../../src/losses/nearestLabels.js';
import type { Tiling } from '../../src/losses/tiling.js';
import { ChannelMemoryBank } from '../../src/memory/channelMemoryBank.js';
import {
  fill,
  float32,
  ops,
  readFloat32,
  scope,
  type Tensor,
  zeros,
} from '../../src/tensor/index.js';
import { inputValues, type LossCase } from './comparedLossesPlan.js';

export type LossResults = Map<string, Float32Array>;

export function lossResults(of: LossCase, tiling: Tiling): LossResults {
  return scope(() => {
    if (of.op === 'holistic') return holisticResults(of, tiling);
    if (of.op === 'dsd_psd') return psdResults(of);
    const { loss, gradient, weightGradient } = computed(of, tiling);
    const results: LossResults = new Map([
      ['loss', Float32Array.of(loss)],
      ['grad/student', channelsFirst(gradient)],
    ]);
    if (weightGradient !== undefined) {
      results.set('grad/weight', officialPointwise(weightGradient).data as Float32Array);
    }
    return results;
  });
}

interface Computed {
  readonly loss: number;
  readonly gradient: Tensor;
  readonly weightGradient?: Tensor;
}

function computed(of: LossCase, tiling: Tiling): Computed {
  const [student, teacher] = [input(of, 'student'), input(of, 'teacher')];
  const temperature = of.params.temperature!;
  switch (of.op) {
    case 'at':
      return plain(attentionTransfer(student, channelEnergy(teacher)));
    case 'fitnet':
      return plain(fitnet(student, teacher, weightOf(of), tiling));
    case 'skd_pairwise':
      return plain(skdPairwise(student, teacher, tiling));
    case 'ifvd':
      return plain(ifvd(student, teacher, labelsOf(of), { classes: of.params.classes!, tiling }));
    case 'cwd': {
      const options = { temperature, tiling };
      if (of.inputs.weight === undefined) return plain(cwd(student, teacher, options));
      return plain(convolvedCwd(student, teacher, weightOf(of), options));
    }
    case 'dsd_csd': {
      const { loss, gradient_NHWK } = dsdCategory(student, teacher, temperature);
      return { loss, gradient: gradient_NHWK };
    }
    case 'channel':
      return channelResult(of, student, teacher, tiling);
    default:
      throw new Error(`op: ${of.op} is not known here`);
  }
}

function plain(result: {
  readonly loss: number;
  readonly gradient_NHWC: Tensor;
  readonly weightGradient_CD?: Tensor;
}): Computed {
  const { loss, gradient_NHWC: gradient, weightGradient_CD: weightGradient } = result;
  return weightGradient === undefined ? { loss, gradient } : { loss, gradient, weightGradient };
}

/** The bank holds the case's queue; of the batch's channels none is enqueued. */
function channelResult(of: LossCase, student: Tensor, teacher: Tensor, tiling: Tiling): Computed {
  const [size = 0, positions = 0] = of.inputs.queue!.shape;
  const bank = new ChannelMemoryBank({
    ...{ size, positions, precision: 'fp32', ringWrap: 'ring', sampling: 'filled' },
  });
  bank.stage(0, inputValues(of, 'queue'));
  bank.commit();
  const first = (_: number, take: number) => Int32Array.from({ length: take }, (_, i) => i);
  const { losses, gradient_NhwD } = channelTerms(
    student,
    teacher,
    bank,
    { enqueueChannels: first, sampleChannels: first },
    {
      weights: { minibatch_channel: 1, memory_channel: 0.1, channel_mse: 100 },
      contrastTemperature: of.params.temperature!,
      contrastKdTemperature: of.params.kdTemperature!,
      channelContrastRows: size,
      channelUpdateFreq: 0,
      tiling,
    },
  );
  const term = (name: Parameters<typeof losses.get>[0]) => losses.get(name)!;
  return {
    loss: term('minibatch_channel') + 0.1 * term('memory_channel') + 100 * term('channel_mse'),
    gradient: gradient_NhwD,
  };
}

function psdResults(of: LossCase): LossResults {
  const levels = Array.from({ length: of.params.levels! }, (_, level) => level);
  const ofSide = (side: string) => levels.map((level) => input(of, `${side}/${level}`));
  const { loss, gradients } = dsdPixel(ofSide('student'), ofSide('teacher').map(channelEnergy));
  const results: LossResults = new Map([['loss', Float32Array.of(loss)]]);
  for (const [level, gradient] of gradients.entries()) {
    results.set(`grad/student/${level}`, channelsFirst(gradient));
  }
  return results;
}

function holisticResults(of: LossCase, tiling: Tiling): LossResults {
  const names = Object.keys(of.inputs).filter((name) => name.includes('.'));
  const parameters = Object.fromEntries(names.map((name) => [name, parameter(of, name)]));
  const us = Array.from({ length: 4 }, (_, at) => unitVector(inputValues(of, `u${at}`)));
  const classes = of.params.classes!;
  const start = {
    parameters: parameters as unknown as DiscriminatorTensors,
    state: { runningMean_K: zeros([classes]), runningVariance_K: fill([classes], 1), us },
  };
  const [student, teacher] = [input(of, 'student'), input(of, 'teacher')];
  const own = skdHolistic(student, start, tiling);
  const trained = { parameters: start.parameters, state: own.state };
  const { penalty } = of.params;
  const { loss, gradients, state } = skdDiscriminator(
    student,
    teacher,
    trained,
    tiling,
    penalty === undefined
      ? { kind: 'hinge' }
      : { kind: 'wgan-gp', penalty, shares_N: inputValues(of, 'shares') },
  );
  const results: LossResults = new Map([
    ['loss', Float32Array.of(own.loss)],
    ['grad/student', channelsFirst(own.gradient_NHWK)],
    ['loss/discriminator', Float32Array.of(loss)],
    ['running_mean', readFloat32(state.runningMean_K)],
    ['running_var', readFloat32(state.runningVariance_K)],
  ]);
  for (const name of names as DiscriminatorParameter[]) {
    results.set(`grad/${name}`, officialParameter(gradients[name]));
  }
  for (const [at, u] of state.us.entries()) results.set(`u${at}`, readFloat32(u));
  return results;
}

function unitVector(values: Float32Array): Tensor {
  const norm = Math.hypot(...values);
  return float32(
    values.map((value) => value / norm),
    [values.length],
  );
}

/** [K, C, R, S] to [R, S, C, K]. */
function parameter(of: LossCase, name: string): Tensor {
  const { shape } = of.inputs[name]!;
  const values = float32(inputValues(of, name), shape);
  return shape.length === 4 ? ops.transpose(values, [2, 3, 1, 0]) : values;
}

function officialParameter(value: Tensor): Float32Array {
  return readFloat32(value.shape.length === 4 ? ops.transpose(value, [3, 2, 0, 1]) : value);
}

function input(of: LossCase, name: string): Tensor {
  const { data, shape } = toChannelsLast({
    data: inputValues(of, name),
    shape: of.inputs[name]!.shape,
  });
  return float32(data, shape);
}

const weightOf = (of: LossCase) =>
  pointwiseWeights({ data: inputValues(of, 'weight'), shape: of.inputs.weight!.shape });

/** The peer's floor(x) - 1, with 255 in the place of -1, at the feature's size. */
function labelsOf(of: LossCase) {
  const [images = 0, height = 0, width = 0] = of.inputs.labels!.shape;
  const values = inputValues(of, 'labels');
  const data = Uint8Array.from(values, (value) => (value < 1 ? 255 : Math.floor(value) - 1));
  const [, , h = 0, w = 0] = of.inputs.student!.shape;
  return nearestLabels({ data, images, height, width }, h, w);
}

const channelsFirst = (x: Tensor) => toChannelsFirst(readFloat32(x), x.shape).data;
