/**
 * Multi-head dot-product attention on a tape. Source: Vaswani et al., "Attention is all you need" (2017), section 3.2.
 *
 * N images, P queries, M keys and values, C channels in heads of D.
 *
 * In each head: out_i = sum over j of softmax over j of (factor query_i . key_j) times value_j. The P x M matrices
 * are never in memory as a whole; the gradient computes them again.
 */
import { execute, executeAll } from '../execute.js';
import { attention } from '../ops/attention.js';
import { reshape, transpose } from '../ops/shapeOnTape.js';
import type { Tape, Var } from '../tape.js';
import { scope } from '../tensor.js';
import { numbersOf } from './batchNorm.js';

export interface HeadOptions {
  readonly heads: number;
  /** Multiplies the products before the softmax. */
  readonly factor: number;
}

/** query [N, P, C], key [N, M, C], value [N, M, C] -> [N, P, C]. */
export type MultiHeadAttentionKernel = (
  tape: Tape,
  query: Var,
  key: Var,
  value: Var,
  options: HeadOptions,
) => Var;

/** Scores of a block of queries at a time, within a core's cache (../native/transformer/attention.h); CPU only. */
export const nativeMultiHeadAttention: MultiHeadAttentionKernel = (
  tape,
  query,
  key,
  value,
  { heads, factor },
) => {
  const inputs = [query.value, key.value, value.value];
  const out = scope(() => execute('CirkdAttention', [...inputs, numbersOf(heads, factor)], []));
  return tape.record(out, [query, key, value], inputs, (dy_NPC) =>
    scope(() =>
      executeAll('CirkdAttentionGrad', [dy_NPC, ...inputs, numbersOf(heads, factor)], [], 3),
    ),
  );
};

/** Elements of a tile of the matrices; a few tiles are in memory at a time: 4 MiB. */
const TILE_ELEMENTS = 2 ** 20;

/** Composed of TensorFlow's ops, in tiles; any device. */
export const composedMultiHeadAttention: MultiHeadAttentionKernel = (
  tape,
  query,
  key,
  value,
  options,
) => {
  const { heads, factor } = options;
  return scope(() => {
    const [q, k, v] = [query, key, value].map((one) => split(tape, one, heads));
    const tiled = { factor, tileElements: TILE_ELEMENTS };
    return join(tape, attention(tape, q!, k!, v!, tiled), query.shape);
  });
};

/** [N, P, C] -> [N heads, P, D] */
function split(tape: Tape, x: Var, heads: number): Var {
  const [images = 0, positions = 0, channels = 0] = x.shape;
  const size = channels / heads;
  return scope(() => {
    const parts = reshape(tape, x, [images, positions, heads, size]);
    const turned = transpose(tape, parts, [0, 2, 1, 3]);
    return reshape(tape, turned, [images * heads, positions, size]);
  });
}

/** [N heads, P, D] -> shape, which is [N, P, C] */
function join(tape: Tape, x: Var, shape: readonly number[]): Var {
  const [maps = 0, positions = 0, size = 0] = x.shape;
  const images = shape[0]!;
  return scope(() => {
    const parts = reshape(tape, x, [images, maps / images, positions, size]);
    const turned = transpose(tape, parts, [0, 2, 1, 3]);
    return reshape(tape, turned, shape);
  });
}
