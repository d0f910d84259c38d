/**
 * The gradient penalty of WGAN-GP: Gulrajani et al., "Improved training of Wasserstein GANs", NeurIPS
 * 2017, algorithm 1, as SKD trains its discriminator D with it.
 *
 * N images, H W positions, K classes. With a share e of each image, x = e teacher + (1 - e) student and g
 * the gradient of the sum of all scores D(x) with respect to x:
 *     penalty = mean over images of (|g| - 1)^2, |g| over the whole image.
 *
 * Its gradient with respect to D's parameters is that of <g, c>, where c = 2 / N (1 - 1 / |g|) g is a
 * constant. <g, c> is the derivative of the sum of the scores along c: the tangent of one more forward
 * pass, which is differentiated like any other output. D normalises by batch statistics, so g couples the
 * images of a batch, as in PyTorch.
 */
import {
  fill,
  float32,
  onTape,
  ops,
  readFloat32,
  scope,
  type Tensor,
  zeros,
} from '../../tensor/index.js';
import { requireSameShape } from '../compared/maps.js';
import type { Tiling } from '../tiling.js';
import { discriminate } from './discriminator.js';
import {
  type Discriminator,
  type DiscriminatorState,
  type DiscriminatorTensors,
  mapParameters,
  view,
} from './discriminatorParameters.js';

export interface GradientPenalty {
  readonly loss: number;
  /** With respect to every parameter of the discriminator, in its shape. */
  readonly gradients: DiscriminatorTensors;
  /** After the one forward pass that PyTorch would make. */
  readonly state: DiscriminatorState;
}

/**
 * @param shares_N the teacher's share of each mixed image, 0 to 1
 * @throws RangeError like `discriminate`, and if shapes differ
 */
export function gradientPenalty(
  student_NHWK: Tensor,
  teacher_NHWK: Tensor,
  shares_N: Float32Array,
  discriminator: Discriminator,
  tiling: Tiling,
): GradientPenalty {
  requireSameShape(student_NHWK, teacher_NHWK);
  const [images = 0] = student_NHWK.shape;
  if (shares_N.length !== images) {
    throw new RangeError(`shares: ${shares_N.length} given, wanted one per image, ${images}`);
  }
  return scope(() => {
    const mixed_NHWK = mixed(student_NHWK, teacher_NHWK, shares_N);
    const { gradient_NHWK, state } = inputGradient(mixed_NHWK, discriminator, tiling);
    const { loss, direction_NHWK } = penalty(gradient_NHWK);
    const gradients = tangentGradients(mixed_NHWK, direction_NHWK, discriminator, tiling);
    return { loss, gradients, state };
  });
}

function mixed(student_NHWK: Tensor, teacher_NHWK: Tensor, shares_N: Float32Array): Tensor {
  return scope(() => {
    const share_N111 = float32(shares_N.slice(), [shares_N.length, 1, 1, 1]);
    const apart = ops.sub(teacher_NHWK, student_NHWK);
    return ops.add(student_NHWK, ops.mul(share_N111, apart));
  });
}

/** g: of the sum of all scores, with respect to the logits. */
function inputGradient(
  mixed_NHWK: Tensor,
  { parameters, state, ranks }: Discriminator,
  tiling: Tiling,
): { readonly gradient_NHWK: Tensor; readonly state: DiscriminatorState } {
  return onTape((tape) => {
    const logits = tape.leaf(view(mixed_NHWK));
    const vars = mapParameters(parameters, (value) => tape.constant(view(value)));
    const { scores, state: after } = discriminate(tape, logits, vars, state, tiling, null, ranks);
    const { leaves } = tape.backward([[scores, fill(scores.shape, 1)]]);
    return { gradient_NHWK: leaves.get(logits)!, state: after };
  });
}

/** The penalty, and its gradient with respect to g. A gradient of length 0 has no direction: 0. */
function penalty(gradient_NHWK: Tensor): {
  readonly loss: number;
  readonly direction_NHWK: Tensor;
} {
  return scope(() => {
    const squares = readFloat32(ops.sum(ops.square(gradient_NHWK), [1, 2, 3]));
    const norms = Float64Array.from(squares, Math.sqrt);
    const images = norms.length;
    const loss = norms.reduce((sum, norm) => sum + (norm - 1) ** 2, 0) / images;
    const factors = Float32Array.from(norms, (norm) =>
      norm === 0 ? 0 : ((2 / images) * (norm - 1)) / norm,
    );
    const factor_N111 = float32(factors, [images, 1, 1, 1]);
    return { loss, direction_NHWK: ops.mul(gradient_NHWK, factor_N111) };
  });
}

/** Of the scores' derivative along the direction, with respect to every parameter. */
function tangentGradients(
  mixed_NHWK: Tensor,
  direction_NHWK: Tensor,
  { parameters, state, ranks }: Discriminator,
  tiling: Tiling,
): DiscriminatorTensors {
  return onTape((tape) => {
    const vars = mapParameters(parameters, (value) => tape.leaf(view(value)));
    const logits = tape.constant(view(mixed_NHWK));
    const { tangent } = discriminate(tape, logits, vars, state, tiling, direction_NHWK, ranks);
    const { leaves } = tape.backward([[tangent!, fill(tangent!.shape, 1)]]);
    // Biases behind the attentions move the scores, but not their derivative.
    return mapParameters(vars, (leaf) => leaves.get(leaf) ?? zeros(leaf.shape));
  });
}
