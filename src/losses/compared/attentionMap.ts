/**
 * Attention maps: where a network's activations are large (Zagoruyko and Komodakis, "Paying more
 * attention to attention", ICLR 2017, section 3.1, with p = 2).
 *
 * N images, H W positions, C channels, P = H * W.
 *
 * The energy of a position is the mean over channels of the squared feature; an image's energies
 * divided by their Euclidean norm, which is at least 1e-12, are its attention map.
 */
import { ops, scalar, scope, type Tensor } from '../../tensor/index.js';
import { type UnitRows, unitRows, unitRowsGrad } from '../normalize.js';

/** float32 [N, H, W]: the mean over channels of the squared feature. */
export function channelEnergy(feature_NHWC: Tensor): Tensor {
  return scope(() => ops.mean(ops.square(feature_NHWC), [3]));
}

/** The same from the norms of the feature's positions [N, H, W], which is all that it takes. */
export function energyOfNorms(norm_NHW: Tensor, channels: number): Tensor {
  return scope(() => ops.mul(ops.square(norm_NHW), scalar(1 / channels)));
}

/** One row per image, [N, P], from energies [N, H, W]. */
export function attentionMap(energy_NHW: Tensor): UnitRows {
  const [images = 0, height = 0, width = 0] = energy_NHW.shape;
  return scope(() => unitRows(ops.reshape(energy_NHW, [images, height * width])));
}

/** Gradient with respect to the feature, given that with respect to its attention map. */
export function attentionMapGrad(dy_NP: Tensor, map: UnitRows, feature_NHWC: Tensor): Tensor {
  const [images = 0, height = 0, width = 0, channels = 0] = feature_NHWC.shape;
  return scope(() => {
    const perEnergy_NP = ops.mul(unitRowsGrad(dy_NP, map), scalar(2 / channels));
    return ops.mul(feature_NHWC, ops.reshape(perEnergy_NP, [images, height, width, 1]));
  });
}
