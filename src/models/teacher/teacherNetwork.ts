/**
 * The frozen network of a teacher: computes the encoded output tensors for images.
 *
 * N images of one size, H W pixels, h w positions of the outputs, K classes, D feature channels.
 */
import type { InferenceImage } from '../../contract/inference.js';
import type { Products } from '../../contract/products.js';
import type { TeacherInfo } from '../../contract/teacherInfo.js';
import {
  bfloat16Products,
  engineInfo,
  ops,
  returnFreedMemory,
  scope,
  type Tensor,
} from '../../tensor/index.js';
import type { EncodedTensor } from '../../contract/encodedTensor.js';
import { inferenceContext } from '../context.js';
import { checkRequest, encodeOutputs, type ImageMaps } from './encodeOutputs.js';
import { type EncodedOutput, type OutputRequest, OUTPUTS } from '../../contract/outputs.js';
import { type ModelDescription, openModelFile, readModelFile } from '../files/modelFile.js';
import type { WeightsFile } from '../files/storedWeights.js';
import { SegmentationNetwork } from '../network.js';
import { normalise, type PixelNormalisation } from '../normalise.js';
import { checkProducts } from './checkProducts.js';
import { digestOf } from './digest.js';
import { specName } from '../spec.js';

const NUMERIC_MODES: Readonly<Record<Products, string>> = { float32: 'fp32', bfloat16: 'bf16' };
/** 256 x 512; the gain is measured in docs/performance.md. */
const CPU_BATCH_PIXELS = 2 ** 17;

interface NetworkOptions {
  readonly products?: Products;
  /** Where the network's weights are stored, for the digest, which is the same without. */
  readonly file?: WeightsFile;
}

export class TeacherNetwork {
  readonly info: TeacherInfo;
  /** For the log: the precision of products, and what computes them if that isn't float32. */
  readonly computes: string;
  /**
   * On a CPU, pixels up to which images share a forward pass: with more the threads are busy anyway, and the maps only take
   * memory. On a GPU undefined: there is no limit.
   */
  readonly batchPixels = engineInfo().device === 'cpu' ? CPU_BATCH_PIXELS : undefined;
  readonly #products: Products;
  readonly #network: SegmentationNetwork;
  readonly #normalisation: PixelNormalisation;

  /** Throws CheckpointError on a file that holds no usable network, or one without such products. */
  static load(file: Uint8Array, products: Products = 'float32'): TeacherNetwork {
    const { description, tensors } = readModelFile(file);
    checkProducts(description.spec, products);
    const network = SegmentationNetwork.load(description.spec, tensors);
    return new TeacherNetwork(network, description, { products });
  }

  /** The same from a path: reads weight by weight into TensorFlow's memory, so the file is never in memory as a whole. */
  static open(path: string, products: Products = 'float32'): TeacherNetwork {
    const { description, weights } = openModelFile(path);
    try {
      checkProducts(description.spec, products);
      const network = SegmentationNetwork.loadStored(description.spec, weights);
      try {
        const teacher = new TeacherNetwork(network, description, { products, file: weights });
        weights.requireUnchanged();
        return teacher;
      } catch (error) {
        network.dispose();
        throw error;
      }
    } finally {
      weights.close();
    }
  }

  /** Takes ownership of the network. */
  constructor(
    network: SegmentationNetwork,
    description: ModelDescription,
    { products = 'float32', file }: NetworkOptions = {},
  ) {
    const { spec, normalisation, classNames } = description;
    this.#network = network;
    this.#products = products;
    this.computes = products === 'float32' ? products : `${products}, ${bfloat16Products()}`;
    this.#normalisation = normalisation;
    const digest = digestOf(network, description, { numericMode: NUMERIC_MODES[products], file });
    // What loading took for a moment.
    returnFreedMemory();
    this.info = {
      digest,
      model: specName(spec),
      classes: spec.numClasses,
      featureChannels: network.featureChannels,
      hasAuxLogits: network.hasAux,
      outputStride: network.outputStride,
      pixelMean: normalisation.pixelMean,
      pixelStd: normalisation.pixelStd,
      channelOrder: normalisation.channelOrder,
      alignCorners: network.alignCorners,
      numericMode: NUMERIC_MODES[products],
      classNames,
    };
  }

  /**
   * Returns, for each image, the requested outputs in the order requested: logits [h, w, K], embedding
   * (unit rows) [h, w, D], embedding_scale [h, w] for an int8 embedding, feature_norm [h, w], aux_norm
   * [h, w]. The auxiliary head runs only if that is requested. An image with a non-finite output gets an Error instead, which doesn't affect the other images. Consecutive images of
   * one size are computed as one batch while they are small; an answer is the same bit for bit either way.
   * Every result owns its buffer. Throws RangeError on an output or encoding that isn't offered and on an
   * image whose bytes don't fit its size.
   */
  infer(
    images: readonly InferenceImage[],
    outputs: readonly OutputRequest[],
  ): (EncodedOutput[] | Error)[] {
    for (const request of outputs) checkRequest(request, this.info);
    return batchesOfOneSize(images)
      .flatMap((batch) => piecesOf(batch, this.batchPixels))
      .flatMap((batch) => this.#inferBatch(batch, outputs));
  }

  /** The 1x1 convolution from feature to logits: weights, then bias, fp32 [K, D + 1]. */
  classifier(): EncodedTensor {
    const { weights_KD, bias_K } = this.#network.classifier();
    const [classes, channels] = [this.info.classes, this.info.featureChannels];
    const rows = new Float32Array(classes * (channels + 1));
    for (let k = 0; k < classes; k++) {
      const at = k * (channels + 1);
      rows.set(weights_KD.subarray(k * channels, (k + 1) * channels), at);
      rows[at + channels] = bias_K[k]!;
    }
    return { dtype: 'fp32', shape: [classes, channels + 1], data: rows.buffer };
  }

  dispose(): void {
    this.#network.dispose();
  }

  #inferBatch(
    images: readonly InferenceImage[],
    outputs: readonly OutputRequest[],
  ): (EncodedOutput[] | Error)[] {
    return scope(() => {
      const wants = new Set(outputs.map(({ output }) => OUTPUTS[output].of));
      const { logits, feature, aux } = this.#forward(images, wants.has('aux'));
      const mapsOf = (index: number): ImageMaps => ({
        logits_hwK: wants.has('logits') ? imageOf(logits, index) : null,
        feature_hwD: wants.has('feature') ? imageOf(feature, index) : null,
        aux_hwK: aux === null ? null : imageOf(aux, index),
      });
      return images.map((_, index) => scope(() => encodeOutputs(mapsOf(index), outputs)));
    });
  }

  #forward(
    images: readonly InferenceImage[],
    wantsAux: boolean,
  ): { logits: Tensor; feature: Tensor; aux: Tensor | null } {
    const context = inferenceContext(this.#products);
    try {
      return scope(() => {
        const { height, width } = images[0]!;
        const rgb = images.map((image) => image.rgb);
        const image_NHW3 = normalise({ height, width, rgb }, this.#normalisation);
        const outputs = this.#network.forward(context, context.tape.constant(image_NHW3), {
          aux: wantsAux,
        });
        const { logits, feature, aux } = outputs;
        return { logits: logits.value, feature: feature.value, aux: aux?.value ?? null };
      });
    } finally {
      context.tape.dispose();
    }
  }
}

/** Groups consecutive images of one size. Throws RangeError on an image whose bytes don't fit its size. */
export function batchesOfOneSize(images: readonly InferenceImage[]): InferenceImage[][] {
  for (const [index, image] of images.entries()) checkImage(index, image);
  const batches: InferenceImage[][] = [];
  for (const image of images) {
    const last = batches.at(-1);
    const isSameSize = last?.[0]?.height === image.height && last[0].width === image.width;
    if (isSameSize) last.push(image);
    else batches.push([image]);
  }
  return batches;
}

/** Image `index` of a batch, [h, w, channels]. */
export function imageOf(batch: Tensor, index: number): Tensor {
  return ops.reshape(ops.rows(batch, index, 1), batch.shape.slice(1));
}

function checkImage(index: number, { height, width, rgb }: InferenceImage): void {
  const areSizes = [height, width].every((size) => Number.isSafeInteger(size) && size > 0);
  if (!areSizes || rgb.length !== height * width * 3) {
    throw new RangeError(
      `images[${index}]: ${rgb.length} bytes given for ${height} x ${width} x 3`,
    );
  }
}

/** Splits a batch into equal ones of at most so many pixels, or one image. */
function piecesOf(
  images: readonly InferenceImage[],
  pixels = Number.POSITIVE_INFINITY,
): (readonly InferenceImage[])[] {
  const { height, width } = images[0]!;
  const most = Math.max(1, Math.floor(pixels / (height * width)));
  const count = Math.ceil(images.length / most);
  const at = (batch: number) => Math.floor((images.length * batch) / count);
  return Array.from({ length: count }, (_, batch) => images.slice(at(batch), at(batch + 1)));
}
