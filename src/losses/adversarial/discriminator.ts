/**
 * SKD's discriminator: what tells a teacher's logits from a student's (Liu et al., "Structured
 * knowledge distillation for semantic segmentation", CVPR 2019, section 3.2, "holistic
 * distillation"), with the layers of the official CIRKD code (utils/sagan.py; those of SAGAN, Zhang et
 * al., 2019).
 *
 * N images, H W positions of the logits, K classes, B base width (official 64).
 *
 *     batch norm over K channels, batch statistics
 *     4x4 convolution, stride 2, padding 1, K -> B, B -> 2B, 2B -> 4B, each with bias, spectral norm
 *         and leaky ReLU of slope 0.1
 *     self-attention on 4B channels
 *     the same convolution, 4B -> 8B
 *     self-attention on 8B channels
 *     4x4 convolution with bias, no padding, 8B -> 1: the scores
 *
 * Self-attention of x on C channels: query and key = 1x1 convolutions with bias to C / 8 channels, value
 * to C; gamma * attention(query, key, value) + x, gamma a trained number that begins at 0.
 *
 * Logits of 64 x 64 positions are the smallest that give a score (crops of 512 x 512 at stride 8).
 */
import {
  differentiable,
  ops,
  scope,
  type Tape,
  type Tensor,
  type Var,
} from '../../tensor/index.js';
import { type Tiling, tileRowCount } from '../tiling.js';
import {
  CONVOLUTIONS,
  type DiscriminatorParameter,
  type DiscriminatorState,
  requireParameters,
} from './discriminatorParameters.js';
import { spectralNorm } from './spectralNorm.js';

const SLOPE = 0.1;
const SMALLEST_SIDE = 64;

export interface Discriminated {
  /** [N, h, w, 1]; h = floor(H / 16) - 3. */
  readonly scores: Var;
  /** The state after this forward pass. */
  readonly state: DiscriminatorState;
}

/** The trained numbers on a tape. */
export type DiscriminatorVars = Readonly<Record<DiscriminatorParameter, Var>>;

/**
 * One forward pass in training. The scores' gradient goes to the logits and to `vars`.
 * @throws RangeError on logits that are too small, or parameters whose shapes don't fit them
 */
export function discriminate(
  tape: Tape,
  logits: Var,
  vars: DiscriminatorVars,
  state: DiscriminatorState,
  tiling: Tiling,
): Discriminated {
  const [, height = 0, width = 0, classes = 0] = logits.shape;
  if (height < SMALLEST_SIDE || width < SMALLEST_SIDE) {
    throw new RangeError(
      `logits: ${height}x${width} positions given, the discriminator needs ${SMALLEST_SIDE}x${SMALLEST_SIDE}`,
    );
  }
  requireParameters(vars, state, classes);
  return scope(() => {
    const norm = {
      scale_C: vars['preprocess_additional.weight'],
      offset_C: vars['preprocess_additional.bias'],
    };
    const { y, running } = differentiable.batchNormTraining(tape, logits, norm, {
      mean_C: state.runningMean_K,
      variance_C: state.runningVariance_K,
    });
    const us: Tensor[] = [];
    const down = (x: Var, at: number) => {
      const name = CONVOLUTIONS[at]!;
      const { weights, u_K } = spectralNorm(tape, vars[`${name}.weight`], state.us[at]!);
      us.push(u_K);
      const geometry = { stride: 2, dilation: 1, padding: 1 };
      const convolved = differentiable.conv2d(tape, x, weights, geometry);
      const biased = differentiable.biasAdd(tape, convolved, vars[`${name}.bias`]);
      return differentiable.leakyRelu(tape, biased, SLOPE);
    };
    const narrow = down(down(down(y, 0), 1), 2);
    const wide = down(selfAttention(tape, narrow, 'attn1', vars, tiling), 3);
    const scores = pointwise(
      tape,
      selfAttention(tape, wide, 'attn2', vars, tiling),
      'last.0',
      vars,
    );
    const after = { runningMean_K: running.mean_C, runningVariance_K: running.variance_C, us };
    return { scores, state: after };
  });
}

function selfAttention(
  tape: Tape,
  x: Var,
  name: 'attn1' | 'attn2',
  vars: DiscriminatorVars,
  tiling: Tiling,
): Var {
  const [images = 0, height = 0, width = 0] = x.shape;
  const projected = (part: 'query' | 'key' | 'value') => {
    const map = pointwise(tape, x, `${name}.${part}_conv`, vars);
    return reshaped(tape, map, [images, height * width, map.shape[3]!]);
  };
  const positions = height * width;
  const attended = differentiable.attention(
    tape,
    projected('query'),
    projected('key'),
    projected('value'),
    { factor: 1, tileElements: tileRowCount(positions, positions, tiling) * positions },
  );
  const map = reshaped(tape, attended, x.shape);
  return differentiable.add(tape, scaled(tape, map, vars[`${name}.gamma`]), x);
}

/** A convolution with bias, without padding. */
function pointwise(
  tape: Tape,
  x: Var,
  name: `attn${1 | 2}.${'query' | 'key' | 'value'}_conv` | 'last.0',
  vars: DiscriminatorVars,
): Var {
  const geometry = { stride: 1, dilation: 1, padding: 0 };
  const convolved = differentiable.conv2d(tape, x, vars[`${name}.weight`], geometry);
  return differentiable.biasAdd(tape, convolved, vars[`${name}.bias`]);
}

function reshaped(tape: Tape, x: Var, shape: readonly number[]): Var {
  const before = x.shape;
  return tape.record(ops.reshape(x.value, shape), [x], [], (dy) => [ops.reshape(dy, before)]);
}

/** x times a trained number, [1]. */
function scaled(tape: Tape, x: Var, factor_1: Var): Var {
  const saved = [x.value, factor_1.value];
  return tape.record(ops.mul(x.value, factor_1.value), [x, factor_1], saved, (dy) => [
    ops.mul(dy, factor_1.value),
    ops.reshape(ops.sum(ops.mul(dy, x.value), [0, 1, 2, 3]), [1]),
  ]);
}
