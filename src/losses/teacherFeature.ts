/**
 * A teacher's feature as it travels: unit rows and their norms.
 *
 * N images, H W positions, D teacher channels.
 */
import { ops, scope, type Tensor } from '../tensor/index.js';

export interface TeacherFeature {
  /** float32 [N, H, W, D], unit rows. */
  readonly embedding_NHWD: Tensor;
  /** float32 [N, H, W]: the raw feature is embedding * norm. */
  readonly norm_NHW: Tensor;
}

/** float32 [N, H, W, D]: each row times its norm. */
export function rawFeature({ embedding_NHWD, norm_NHW }: TeacherFeature): Tensor {
  return scope(() => ops.mul(embedding_NHWD, ops.reshape(norm_NHW, [...norm_NHW.shape, 1])));
}
