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
import { ALONE, gatherRows, ownRows, type Ranks } from './ranks.js';
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
  ranks: Ranks = ALONE,
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
    add('minibatch_channel', () => {
      // A group of images never spans ranks, so only the whole batch needs the others' rows.
      const isShared = ranks.minibatch === 'batch' && minibatchGroup === 0;
      const { group } = isShared ? ranks : ALONE;
      const options = { images: images * group.size, minibatchGroup, temperature, tiling };
      const [own_RM, keys_RM] = [group.allGather(student_RM), group.allGather(teacher_RM)];
      const { loss, gradient_RM } = minibatchChannel(own_RM, keys_RM, options);
      // The trainer divides by the number of ranks, each of which has the gradient of its own rows only.
      if (group.size === 1) return { loss, gradient_RM };
      return { loss, gradient_RM: ops.mul(ownRows(group, gradient_RM), scalar(group.size)) };
    });
    add('channel_mse', () => channelMse(student_RM, teacher_RM));
    add('memory_channel', () => {
      if (bank === null)
        throw new Error("weights.memory_channel: given, and there's no channel bank");
      enqueueChannels(teacher_RM, bank, choices, settings.channelUpdateFreq, ranks.group);
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

/** Stages up to `channelUpdateFreq` of the channels of all ranks. */
function enqueueChannels(
  teacher_RM: Tensor,
  bank: ChannelMemoryBank,
  choices: ChannelChoices,
  channelUpdateFreq: number,
  group: Ranks['group'],
): void {
  const [rows = 0, positions = 0] = teacher_RM.shape;
  if (positions !== bank.options.channels) {
    throw new RangeError(
      `channel bank: rows of ${bank.options.channels} positions, this batch's have ${positions}`,
    );
  }
  const all = rows * group.size;
  const chosen = choices.enqueueChannels(all, Math.min(all, channelUpdateFreq));
  const rankOf = (row: number) => Math.floor(row / rows);
  const own = chosen.filter((row) => rankOf(row) === group.rank).map((row) => row % rows);
  const ownData = scope(() =>
    own.length === 0
      ? new Float32Array()
      : readFloat32(ops.gather(teacher_RM, int32(own, [own.length]))),
  );
  bank.stage(0, inChosenOrder(gatherRows(group, ownData), chosen, rankOf, positions));
}

/** Rows that are sorted by rank, and by choice within a rank, in the order of the choice. */
function inChosenOrder(
  data: Float32Array,
  chosen: Int32Array,
  rankOf: (row: number) => number,
  length: number,
): Float32Array {
  const byRank = [...chosen.keys()].sort(
    (a, b) => rankOf(chosen[a]!) - rankOf(chosen[b]!) || a - b,
  );
  const ordered = new Float32Array(data.length);
  byRank.forEach((place, at) => {
    ordered.set(data.subarray(at * length, (at + 1) * length), place * length);
  });
  return ordered;
}
