/**
 * The channel terms of CIRKD's second version ("CIRKDv2"): mini-batch, memory and mean squared error
 * over the channels of one batch.
 *
 * N images, h w positions after pooling by 4, M = h * w, D teacher channels, R = N * D rows.
 */
import type { ChannelTerm } from '../contract/terms.js';
import { cutAveragePool } from '../losses/averagePool.js';
import { channelMse } from '../losses/channel/channelMse.js';
import {
  CHANNEL_POOLING,
  type ChannelLoss,
  channelRows,
  channelRowsGrad,
} from '../losses/channel/channelRows.js';
import { minibatchChannel } from '../losses/channel/minibatchChannel.js';
import { memoryContrast } from '../losses/memoryContrast.js';
import type { Tiling } from '../losses/tiling.js';
import type { ChannelChoices, ChannelMemoryBank } from '../memory/channelMemoryBank.js';
import { int32, ops, readFloat32, scalar, scope, type Tensor } from '../tensor/index.js';
import { rowsTensor } from './sampledRows.js';

export interface ChannelTermSettings {
  /** A term without a weight is not computed. */
  readonly weights: Partial<Readonly<Record<ChannelTerm, number>>>;
  /** Of minibatch_channel: the images that are compared with one another; by default 0: all. */
  readonly minibatchGroup?: number;
  readonly contrastTemperature: number;
  readonly contrastKdTemperature: number;
  /** Rows of the bank that are drawn per forward pass; official: 2048. */
  readonly channelContrastRows: number;
  /** Most rows that one batch adds to the bank; official: 256. */
  readonly channelUpdateFreq: number;
  /** false: memory_channel only fills the bank and is 0, as before `memory.startStep`. By default true. */
  readonly contrastsBank?: boolean;
  readonly tiling: Tiling;
}

export interface ChannelTermValues {
  /** Unweighted; a term that isn't computed is absent. */
  readonly losses: ReadonlyMap<ChannelTerm, number>;
  /** float32 [N, h, w, D]: the gradient of the weighted sum with respect to the projected map. */
  readonly gradient_NhwD: Tensor;
}

/**
 * Enqueues the teacher's channels, staged until the bank's commit() or discard(), and computes the
 * terms. Like the official code, a batch is contrasted with its own rows, too.
 *
 * @param projected_NhwD the student's feature, pooled by CHANNEL_POOLING and projected to D channels
 * @param teacher_NHWD the teacher's raw feature, not pooled
 * @param bank may be null if memory_channel has no weight
 * @throws RangeError on shapes that don't fit one another or the bank
 */
export function channelTerms(
  projected_NhwD: Tensor,
  teacher_NHWD: Tensor,
  bank: ChannelMemoryBank | null,
  choices: ChannelChoices,
  settings: ChannelTermSettings,
): ChannelTermValues {
  return scope(() => {
    const { weights, tiling, minibatchGroup = 0, contrastTemperature: temperature } = settings;
    const student = channelRows(projected_NhwD);
    const student_RM = student.embedding_PC;
    const teacher_RM = scope(
      () => channelRows(cutAveragePool(teacher_NHWD, CHANNEL_POOLING)).embedding_PC,
    );
    const images = projected_NhwD.shape[0]!;
    const losses = new Map<ChannelTerm, number>();
    const gradients: Tensor[] = [];
    const add = (term: ChannelTerm, compute: () => ChannelLoss) => {
      const weight = weights[term];
      if (weight === undefined) return;
      const weighted_RM = scope(() => {
        const { loss, gradient_RM } = compute();
        losses.set(term, loss);
        return ops.mul(gradient_RM, scalar(weight));
      });
      gradients.push(weighted_RM);
    };
    add('minibatch_channel', () =>
      minibatchChannel(student_RM, teacher_RM, { images, minibatchGroup, temperature, tiling }),
    );
    add('channel_mse', () => channelMse(student_RM, teacher_RM));
    add('memory_channel', () => {
      if (bank === null)
        throw new Error("weights.memory_channel: given, and there's no channel bank");
      enqueueChannels(teacher_RM, bank, choices, settings.channelUpdateFreq);
      if (settings.contrastsBank === false) {
        return { loss: 0, gradient_RM: ops.mul(student_RM, scalar(0)) };
      }
      const sample = bank.sample(settings.channelContrastRows, choices);
      const bank_QM = rowsTensor(sample, teacher_RM.shape[1]!);
      const { loss, gradient_PD } = memoryContrast(student_RM, teacher_RM, bank_QM, settings);
      return { loss, gradient_RM: gradient_PD };
    });
    const sum_RM = gradients.length === 0 ? ops.mul(student_RM, scalar(0)) : ops.addN(gradients);
    return { losses, gradient_NhwD: channelRowsGrad(sum_RM, student, projected_NhwD.shape) };
  });
}

/** Stages up to `channelUpdateFreq` of the batch's channels. */
function enqueueChannels(
  teacher_RM: Tensor,
  bank: ChannelMemoryBank,
  choices: ChannelChoices,
  channelUpdateFreq: number,
): void {
  const [rows = 0, positions = 0] = teacher_RM.shape;
  if (positions !== bank.options.channels) {
    throw new RangeError(
      `channel bank: rows of ${bank.options.channels} positions, this batch's have ${positions}`,
    );
  }
  const take = Math.min(rows, channelUpdateFreq);
  const chosen = choices.enqueueChannels(rows, take);
  const data = scope(() => readFloat32(ops.gather(teacher_RM, int32(chosen.slice(), [take]))));
  bank.stage(0, data);
}
