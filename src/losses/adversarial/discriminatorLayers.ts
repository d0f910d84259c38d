/**
 * The layers of SKD's discriminator (discriminator.ts), each for a map and, where one is given, for the
 * map's tangent: how the layer's output moves when the logits move along a direction. The tangents
 * are what the gradient penalty differentiates (gradientPenalty.ts).
 *
 * N images, H W positions, C channels.
 */
import {
  differentiable,
  fill,
  ops,
  type RankGroup,
  scope,
  Tape,
  type Tensor,
  type Var,
  zeros,
} from '../../tensor/index.js';
import { type Tiling, tileRowCount } from '../tiling.js';

/** A layer's output [N, H, W, C]. */
export interface MovingMap {
  readonly at: Var;
  /** Its derivative along the direction, of the same shape; null: none is asked for. */
  readonly along: Var | null;
}

export interface ConvolutionWeights {
  /** [R, S, C, K] */
  readonly weight: Var;
  /** [K] */
  readonly bias: Var;
}

type Geometry = Parameters<typeof differentiable.conv2d>[3];

/** A convolution with bias. */
export function convolution(
  tape: Tape,
  { at, along }: MovingMap,
  { weight, bias }: ConvolutionWeights,
  geometry: Geometry,
): MovingMap {
  const convolved = differentiable.conv2d(tape, at, weight, geometry);
  return {
    at: differentiable.biasAdd(tape, convolved, bias),
    along: along === null ? null : differentiable.conv2d(tape, along, weight, geometry),
  };
}

export function leakyRelu(tape: Tape, { at, along }: MovingMap, slope: number): MovingMap {
  return {
    at: differentiable.leakyRelu(tape, at, slope),
    along: along === null ? null : differentiable.leakyReluTangent(tape, at, along, slope),
  };
}

/** The parts of a self-attention layer. */
export interface SelfAttentionWeights {
  readonly query: ConvolutionWeights;
  readonly key: ConvolutionWeights;
  readonly value: ConvolutionWeights;
  /** [1] */
  readonly gamma: Var;
}

const POINTWISE = { stride: 1, dilation: 1, padding: 0 } as const;

/** gamma * attention(query, key, value) + x. */
export function selfAttention(
  tape: Tape,
  x: MovingMap,
  weights: SelfAttentionWeights,
  tiling: Tiling,
): MovingMap {
  const [images = 0, height = 0, width = 0] = x.at.shape;
  const positions = height * width;
  const options = {
    factor: 1,
    tileElements: tileRowCount(positions, positions, tiling) * positions,
  };
  const rowsOf = (map: Var) =>
    differentiable.reshape(tape, map, [images, positions, map.shape[3]!]);
  const projected = (['query', 'key', 'value'] as const).map((part) =>
    convolution(tape, x, weights[part], POINTWISE),
  );
  const [query, key, value] = projected.map(({ at }) => rowsOf(at)) as [Var, Var, Var];
  const residual = (attended: Var, to: Var) => {
    const map = differentiable.reshape(tape, attended, to.shape);
    return differentiable.add(tape, scaled(tape, map, weights.gamma), to);
  };
  const at = residual(differentiable.attention(tape, query, key, value, options), x.at);
  if (x.along === null) return { at, along: null };
  const [query2, key2, value2] = projected.map(({ along }) => rowsOf(along!)) as [Var, Var, Var];
  const attended = differentiable.attentionTangent(
    tape,
    { query, key, value },
    { query: query2, key: key2, value: value2 },
    options,
  );
  return { at, along: residual(attended, x.along) };
}

/** x times a trained number, [1]. */
function scaled(tape: Tape, x: Var, factor_1: Var): Var {
  const saved = [x.value, factor_1.value];
  return tape.record(ops.mul(x.value, factor_1.value), [x, factor_1], saved, (dy) => [
    ops.mul(dy, factor_1.value),
    ops.reshape(ops.sum(ops.mul(dy, x.value), [0, 1, 2, 3]), [1]),
  ]);
}

/**
 * The tangent of a batch norm with batch statistics, along a constant direction at a constant map: of
 * the scale alone it has a gradient. The normalisation's derivative is symmetric, so that its backward
 * pass gives it.
 */
export function batchNormTangent(
  tape: Tape,
  x_NHWC: Tensor,
  direction_NHWC: Tensor,
  scale_C: Var,
  ranks: RankGroup | undefined = undefined,
): Var {
  const moved_NHWC = scope(() => {
    const channels = scale_C.shape;
    const own = new Tape(true);
    try {
      const x = own.leaf(x_NHWC);
      const one = {
        scale_C: own.constant(fill(channels, 1)),
        offset_C: own.constant(zeros(channels)),
      };
      const running = { mean_C: zeros(channels), variance_C: fill(channels, 1) };
      const { y } = differentiable.batchNormOver(ranks, own, x, one, running);
      const seed = ops.reshape(direction_NHWC, direction_NHWC.shape);
      return own.backward([[y, seed]]).leaves.get(x)!;
    } finally {
      own.dispose();
    }
  });
  return tape.record(ops.mul(moved_NHWC, scale_C.value), [scale_C], [moved_NHWC], (dy) => [
    ops.sum(ops.mul(dy, moved_NHWC), [0, 1, 2]),
  ]);
}
