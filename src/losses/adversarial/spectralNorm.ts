/**
 * Spectral normalisation of a convolution's weights: Miyato et al., "Spectral normalization for
 * generative adversarial networks", ICLR 2018, with one step of power iteration per forward pass, as
 * SKD's discriminator has it (utils/sagan.py of the official CIRKD code).
 *
 * R S kernel, C input channels, K output channels. With W the weights as a K x RSC matrix and
 * unit(x) = x / (|x| + 1e-12):
 *     v = unit(W' u), then u = unit(W v), sigma = u' W v, and the convolution uses W / sigma.
 * u and v are constants of the gradient: with G that with respect to W / sigma, W gets
 * (G - <G, W / sigma> u v') / sigma. v follows from u, so u is the whole state.
 */
import {
  ops,
  readScalar,
  scalar,
  scope,
  type Tape,
  type Tensor,
  type Var,
} from '../../tensor/index.js';

const EPSILON = 1e-12;

export interface NormalisedWeights {
  /** [R, S, C, K]: W / sigma, on the tape. */
  readonly weights: Var;
  /** float32 [K]: u after this forward pass. */
  readonly u_K: Tensor;
}

/** @param u_K float32 [K], u of the forward pass before */
export function spectralNorm(tape: Tape, weights: Var, u_K: Tensor): NormalisedWeights {
  return scope(() => {
    const shape_RSCK = weights.shape;
    const outputs = shape_RSCK.at(-1)!;
    const inputs = weights.value.size / outputs;
    const weights_MK = ops.reshape(weights.value, [inputs, outputs]);
    const v_M1 = unit(ops.matMul(weights_MK, ops.reshape(u_K, [outputs, 1])));
    const image_K1 = ops.matMul(weights_MK, v_M1, { transposeA: true });
    const u_K1 = unit(image_K1);
    const invSigma = scalar(1 / readScalar(ops.sum(ops.mul(image_K1, u_K1), [0, 1])));
    const normalised = ops.mul(weights.value, invSigma);
    const saved = [normalised, v_M1, u_K1, invSigma];
    const output = tape.record(normalised, [weights], saved, (dy) => {
      const along = ops.sum(ops.mul(dy, normalised), [0, 1, 2, 3]);
      const outer_MK = ops.matMul(ops.mul(v_M1, along), u_K1, { transposeB: true });
      const outer_RSCK = ops.reshape(outer_MK, shape_RSCK);
      return [ops.mul(ops.sub(dy, outer_RSCK), invSigma)];
    });
    return { weights: output, u_K: ops.reshape(u_K1, [outputs]) };
  });
}

function unit(x: Tensor): Tensor {
  return scope(() => {
    const norm = ops.sqrt(ops.sum(ops.square(x), [0, 1]));
    return ops.div(x, ops.add(norm, scalar(EPSILON)));
  });
}
