/**
 * Computes the teacher's logits from its feature if they weren't sent: the network's last layer is a
 * 1x1 convolution, whose weights the student received once.
 *
 * N images, h w positions, P = N * h * w, K classes, D teacher channels.
 *
 *     logits = (embedding * norm) . weights + bias = (embedding . weights) * norm + bias
 */
import { float32, ops, scope, type Tensor } from '../tensor/index.js';
import { checkTensor } from '../wire/checkTensor.js';
import type { EncodedTensor } from '../contract/encodedTensor.js';

export class LogitsRebuild {
  readonly classes: number;
  readonly channels: number;
  readonly #weights_KD: Tensor;
  readonly #bias_K: Tensor;

  /**
   * @param classifier fp32 [K, D + 1]: weights, then bias; it is copied
   * Throws TensorFormatError on any other tensor. Holds TensorFlow memory until dispose().
   */
  constructor(classifier: EncodedTensor) {
    const [classes = 0, columns = 0] = classifier.shape;
    checkTensor('classifier', classifier, 'fp32', [classes, columns]);
    this.classes = classes;
    this.channels = columns - 1;
    const { weights_KD, bias_K } = scope(() => {
      const rows = float32(new Float32Array(classifier.data.slice(0)), [classes, columns]);
      return {
        weights_KD: ops.slice(rows, [0, 0], [classes, this.channels]),
        bias_K: ops.reshape(ops.slice(rows, [0, this.channels], [classes, 1]), [classes]),
      };
    });
    this.#weights_KD = weights_KD.hold();
    this.#bias_K = bias_K.hold();
  }

  /**
   * @param embedding_NhwD unit rows
   * @param norm_Nhw norms of the feature's rows
   * @returns logits, float32 [N, h, w, K]
   * Throws RangeError if the number of channels isn't the classifier's.
   */
  logits(embedding_NhwD: Tensor, norm_Nhw: Tensor): Tensor {
    const channels = embedding_NhwD.shape.at(-1);
    if (channels !== this.channels) {
      throw new RangeError(`embedding: ${channels} channels, the classifier has ${this.channels}`);
    }
    return scope(() => {
      const positions = norm_Nhw.size;
      const embedding_PD = ops.reshape(embedding_NhwD, [positions, this.channels]);
      // The norm is applied after the product, to K columns per row instead of D.
      const product_PK = ops.matMul(embedding_PD, this.#weights_KD, { transposeB: true });
      const scaled_PK = ops.mul(product_PK, ops.reshape(norm_Nhw, [positions, 1]));
      const logits_PK = ops.add(scaled_PK, this.#bias_K);
      return ops.reshape(logits_PK, [...norm_Nhw.shape, this.classes]);
    });
  }

  dispose(): void {
    this.#weights_KD.free();
    this.#bias_K.free();
  }
}
