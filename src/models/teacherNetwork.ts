/**
 * A frozen network that answers with encoded tensors: what a teacher computes for an image.
 *
 * N images of one size, H W pixels, h w positions of the outputs, K classes, D feature channels.
 */
import { createHash } from 'node:crypto';
import { ops, scalar, scope, type Tensor } from '../tensor/index.js';
import type { EncodedTensor, Encoding, OutputName } from '../wire/encodedTensor.js';
import { inferenceContext } from './context.js';
import { encodeFinite } from './encode.js';
import { type ModelDescription, readModelFile } from './modelFile.js';
import { SegmentationNetwork } from './network.js';
import { normalise, type PixelNormalisation } from './normalise.js';
import { specName } from './spec.js';

export interface InferenceImage {
  readonly height: number;
  readonly width: number;
  /** uint8 HWC, R G B. Not changed; may not change during the call. */
  readonly rgb: Uint8Array;
}

export interface OutputRequest {
  readonly output: OutputName;
  /** feature_norm is always fp32. */
  readonly encoding: Encoding;
}

export interface InferredOutput {
  readonly output: OutputName;
  readonly tensor: EncodedTensor;
}

/** Has the fields of distill/teacher.ts' TeacherInfo. */
export interface TeacherNetworkInfo {
  /** "sha256:<hex>" over weights, architecture, normalisation and numeric mode. */
  readonly digest: string;
  readonly model: string;
  readonly classes: number;
  readonly featureChannels: number;
  readonly outputStride: number;
  readonly pixelMean: readonly number[];
  readonly pixelStd: readonly number[];
  readonly channelOrder: 'rgb' | 'bgr';
  readonly numericMode: string;
  readonly classNames: readonly string[];
}

const NUMERIC_MODE = 'fp32';
/** ||v|| below this counts as this, as in PyTorch's normalize. */
const SMALLEST_NORM = 1e-12;

export class TeacherNetwork {
  readonly info: TeacherNetworkInfo;
  readonly #network: SegmentationNetwork;
  readonly #normalisation: PixelNormalisation;

  /** Throws CheckpointError on a file that holds no usable network. */
  static load(file: Uint8Array): TeacherNetwork {
    const { description, tensors } = readModelFile(file);
    return new TeacherNetwork(SegmentationNetwork.load(description.spec, tensors), description);
  }

  /** Takes the network over. */
  constructor(network: SegmentationNetwork, description: ModelDescription) {
    const { spec, normalisation, classNames } = description;
    this.#network = network;
    this.#normalisation = normalisation;
    this.info = {
      digest: digestOf(network, description),
      model: specName(spec),
      classes: spec.numClasses,
      featureChannels: network.featureChannels,
      outputStride: network.outputStride,
      pixelMean: normalisation.pixelMean,
      pixelStd: normalisation.pixelStd,
      channelOrder: normalisation.channelOrder,
      numericMode: NUMERIC_MODE,
      classNames,
    };
  }

  /**
   * For each image the wanted outputs, in their order: logits [h, w, K], embedding (unit rows)
   * [h, w, D], feature_norm [h, w]; or an Error where one of them holds a non-finite value, without
   * effect on the other images. Neighbours of one size are computed as one batch.
   * Every result's buffer is its own. Throws RangeError on an output or encoding that isn't offered
   * and on an image whose bytes don't fit its size.
   */
  infer(
    images: readonly InferenceImage[],
    outputs: readonly OutputRequest[],
  ): (InferredOutput[] | Error)[] {
    for (const request of outputs) checkRequest(request);
    for (const [index, image] of images.entries()) checkImage(index, image);
    const results: (InferredOutput[] | Error)[] = [];
    while (results.length < images.length) {
      const first = images[results.length]!;
      let end = results.length + 1;
      while (images[end]?.height === first.height && images[end]?.width === first.width) end += 1;
      results.push(...this.#inferBatch(images.slice(results.length, end), outputs));
    }
    return results;
  }

  dispose(): void {
    this.#network.dispose();
  }

  #inferBatch(
    images: readonly InferenceImage[],
    outputs: readonly OutputRequest[],
  ): (InferredOutput[] | Error)[] {
    return scope(() => {
      const { logits, feature } = this.#forward(images);
      return images.map((_, index) =>
        scope(() => encodeImage(imageOf(logits, index), imageOf(feature, index), outputs)),
      );
    });
  }

  #forward(images: readonly InferenceImage[]): { logits: Tensor; feature: Tensor } {
    const context = inferenceContext();
    try {
      return scope(() => {
        const { height, width } = images[0]!;
        const rgb = images.map((image) => image.rgb);
        const image_NHW3 = normalise({ height, width, rgb }, this.#normalisation);
        const outputs = this.#network.forward(context, context.tape.constant(image_NHW3), {
          aux: false,
        });
        return { logits: outputs.logits.value, feature: outputs.feature.value };
      });
    } finally {
      context.tape.dispose();
    }
  }
}

function encodeImage(
  logits_hwK: Tensor,
  feature_hwD: Tensor,
  outputs: readonly OutputRequest[],
): InferredOutput[] | Error {
  const norm_hw1 = ops.sqrt(ops.sum(ops.square(feature_hwD), [2], true));
  const tensorOf = (output: OutputName): Tensor => {
    if (output === 'logits') return logits_hwK;
    if (output === 'feature_norm') return ops.reshape(norm_hw1, norm_hw1.shape.slice(0, 2));
    return ops.div(feature_hwD, ops.maximum(norm_hw1, scalar(SMALLEST_NORM)));
  };
  const encoded: InferredOutput[] = [];
  for (const { output, encoding } of outputs) {
    const dtype = encoding === 'fp16' && output !== 'feature_norm' ? 'fp16' : 'fp32';
    const tensor = scope(() => encodeFinite(tensorOf(output), dtype));
    if (tensor === null) return new Error(`non-finite ${output} (${dtype})`);
    encoded.push({ output, tensor });
  }
  return encoded;
}

/** Image `index` of a batch, [h, w, channels]. */
function imageOf(batch: Tensor, index: number): Tensor {
  return ops.reshape(ops.rows(batch, index, 1), batch.shape.slice(1));
}

function checkRequest({ output, encoding }: OutputRequest): void {
  if (output !== 'logits' && output !== 'embedding' && output !== 'feature_norm') {
    throw new RangeError(`output: ${output} given, wanted logits, embedding or feature_norm`);
  }
  if (encoding !== 'fp32' && encoding !== 'fp16') {
    throw new RangeError(`encoding: ${encoding} given, wanted fp32 or fp16`);
  }
}

function checkImage(index: number, { height, width, rgb }: InferenceImage): void {
  const areSizes = [height, width].every((size) => Number.isSafeInteger(size) && size > 0);
  if (!areSizes || rgb.length !== height * width * 3) {
    throw new RangeError(
      `images[${index}]: ${rgb.length} bytes given for ${height} x ${width} x 3`,
    );
  }
}

function digestOf(network: SegmentationNetwork, description: ModelDescription): string {
  const { spec, normalisation } = description;
  const { pixelMean, pixelStd, channelOrder } = normalisation;
  const hash = createHash('sha256');
  const { model, backbone, variant, numClasses, widthMultiplier } = spec;
  const architecture = [model, backbone, variant, numClasses, widthMultiplier];
  const pixels = [pixelMean, pixelStd, channelOrder];
  hash.update(JSON.stringify([architecture, pixels, NUMERIC_MODE]));
  for (const [name, { dtype, shape, data }] of network.stateDict()) {
    hash.update(JSON.stringify([name, dtype, shape]));
    hash.update(data);
  }
  return `sha256:${hash.digest('hex')}`;
}
