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
  type RankGroup,
  scope,
  type Tape,
  type Tensor,
  type Var,
} from '../../tensor/index.js';
import type { Tiling } from '../tiling.js';
import {
  batchNormTangent,
  convolution,
  leakyRelu,
  type MovingMap,
  selfAttention,
} from './discriminatorLayers.js';
import {
  CONVOLUTIONS,
  type DiscriminatorParameter,
  type DiscriminatorState,
  requireParameters,
} from './discriminatorParameters.js';
import { spectralNorm } from './spectralNorm.js';

/** Positions of the logits along each axis, at least. */
export const SMALLEST_LOGITS = 64;

const SLOPE = 0.1;
const DOWN = { stride: 2, dilation: 1, padding: 1 } as const;
const LAST = { stride: 1, dilation: 1, padding: 0 } as const;

export interface Discriminated {
  /** [N, h, w, 1]; h = floor(H / 16) - 3. */
  readonly scores: Var;
  /** The scores' derivative along the direction, of their shape; null without a direction. */
  readonly tangent: Var | null;
  /** The state after this forward pass. */
  readonly state: DiscriminatorState;
}

/** The trained numbers on a tape. */
export type DiscriminatorVars = Readonly<Record<DiscriminatorParameter, Var>>;

/**
 * One forward pass in training. The scores' gradient goes to the logits and to `vars`.
 *
 * @param direction_NHWK float32, of the logits' shape: the tangent is computed, too, and has a gradient
 *   with respect to `vars`; the logits must be a constant then. null: no tangent.
 * @param ranks see Discriminator; all of them make the same passes
 * @throws RangeError on logits that are too small, or parameters whose shapes don't fit them
 */
export function discriminate(
  tape: Tape,
  logits: Var,
  vars: DiscriminatorVars,
  state: DiscriminatorState,
  tiling: Tiling,
  direction_NHWK: Tensor | null = null,
  ranks: RankGroup | undefined = undefined,
): Discriminated {
  const [, height = 0, width = 0, classes = 0] = logits.shape;
  if (height < SMALLEST_LOGITS || width < SMALLEST_LOGITS) {
    throw new RangeError(
      `logits: ${height}x${width} positions given, the discriminator needs ${SMALLEST_LOGITS}x${SMALLEST_LOGITS}`,
    );
  }
  requireParameters(vars, state, classes);
  return scope(() => {
    const moving = { at: logits, along: direction_NHWK };
    const { map, running } = normalised(tape, moving, vars, state, ranks);
    const us: Tensor[] = [];
    const down = (x: MovingMap, at: number) => {
      const name = CONVOLUTIONS[at]!;
      const { weights, u_K } = spectralNorm(tape, vars[`${name}.weight`], state.us[at]!);
      us.push(u_K);
      const layer = { weight: weights, bias: vars[`${name}.bias`] };
      return leakyRelu(tape, convolution(tape, x, layer, DOWN), SLOPE);
    };
    const attended = (x: MovingMap, name: 'attn1' | 'attn2') =>
      selfAttention(tape, x, attentionOf(vars, name), tiling);
    const narrow = down(down(down(map, 0), 1), 2);
    const wide = down(attended(narrow, 'attn1'), 3);
    const last = { weight: vars['last.0.weight'], bias: vars['last.0.bias'] };
    const { at, along } = convolution(tape, attended(wide, 'attn2'), last, LAST);
    return { scores: at, tangent: along, state: { ...running, us } };
  });
}

/** The batch norm that the logits go through first. */
function normalised(
  tape: Tape,
  { at: logits, along: direction_NHWK }: { readonly at: Var; readonly along: Tensor | null },
  vars: DiscriminatorVars,
  { runningMean_K, runningVariance_K }: DiscriminatorState,
  ranks: RankGroup | undefined,
) {
  const scale_C = vars['preprocess_additional.weight'];
  const norm = { scale_C, offset_C: vars['preprocess_additional.bias'] };
  const before = { mean_C: runningMean_K, variance_C: runningVariance_K };
  const { y, running } = differentiable.batchNormOver(ranks, tape, logits, norm, before);
  const along =
    direction_NHWK === null
      ? null
      : batchNormTangent(tape, logits.value, direction_NHWK, scale_C, ranks);
  const map: MovingMap = { at: y, along };
  return {
    map,
    running: { runningMean_K: running.mean_C, runningVariance_K: running.variance_C },
  };
}

function attentionOf(vars: DiscriminatorVars, name: 'attn1' | 'attn2') {
  const part = (which: 'query' | 'key' | 'value') => ({
    weight: vars[`${name}.${which}_conv.weight`],
    bias: vars[`${name}.${which}_conv.bias`],
  });
  return {
    ...{ query: part('query'), key: part('key'), value: part('value') },
    gamma: vars[`${name}.gamma`],
  };
}
