/**
 * Encodes a network's outputs for one image as the tensors that a student requested.
 *
 * h w positions, K classes, D feature channels.
 */
import { ops, scalar, scope, type Tensor } from '../../tensor/index.js';
import type { EncodedTensor } from '../../contract/encodedTensor.js';
import { NonFiniteOutputError } from '../../contract/inference.js';
import {
  dtypeOfOutput,
  type EncodedOutput,
  OUTPUTS,
  type OutputRequest,
} from '../../contract/outputs.js';
import { type EncodedRows, encodeFinite, encodeRows } from './encode.js';

/** ||v|| below this counts as this, as in PyTorch's normalize. */
const SMALLEST_NORM = 1e-12;

/**
 * In the order of the requests; NonFiniteOutputError where one of them holds a non-finite value.
 *
 * @param feature_hwD null if the network has no feature: then only logits can be requested
 */
export function encodeOutputs(
  logits_hwK: Tensor,
  feature_hwD: Tensor | null,
  requests: readonly OutputRequest[],
): EncodedOutput[] | NonFiniteOutputError {
  const image = new ImageOutputs(logits_hwK, feature_hwD);
  const encoded: EncodedOutput[] = [];
  for (const request of requests) {
    const tensor = scope(() => image.encode(request));
    if (tensor === null) {
      const type = dtypeOfOutput(request);
      return new NonFiniteOutputError(`non-finite ${request.output} (${type})`);
    }
    encoded.push({ output: request.output, tensor });
  }
  return encoded;
}

/** Throws RangeError on an output or encoding that isn't offered. */
export function checkRequest({ output, encoding }: OutputRequest, hasFeature = true): void {
  if (!hasFeature && output !== 'logits') {
    throw new RangeError(`output: ${output} given, wanted logits: the network provides no feature`);
  }
  if (OUTPUTS[output]?.scope !== 'image') {
    throw new RangeError(
      `output: ${output} given, wanted logits, embedding, embedding_scale or feature_norm`,
    );
  }
  const wanted = OUTPUTS[output].encodings;
  if (!wanted.includes(encoding)) {
    throw new RangeError(`encoding: ${encoding} given for ${output}, wanted ${wanted.join(', ')}`);
  }
}

class ImageOutputs {
  readonly #logits_hwK: Tensor;
  readonly #feature: FeatureRows | null;

  constructor(logits_hwK: Tensor, feature_hwD: Tensor | null) {
    this.#logits_hwK = logits_hwK;
    this.#feature = feature_hwD === null ? null : new FeatureRows(feature_hwD);
  }

  encode(request: OutputRequest): EncodedTensor | null {
    const { output, encoding } = request;
    checkRequest(request, this.#feature !== null);
    const dtype = encoding === 'fp16' ? 'fp16' : 'fp32';
    if (output === 'logits') return encodeFinite(this.#logits_hwK, dtype);
    const feature = this.#feature!;
    if (output === 'feature_norm') return encodeFinite(feature.norm_hw(), 'fp32');
    if (output === 'embedding_scale') return feature.encodedRows()?.scales ?? null;
    if (encoding === 'int8') return feature.encodedRows()?.rows ?? null;
    return encodeFinite(feature.embedding_hwD(), dtype);
  }
}

/** A feature as unit rows and their norms. */
class FeatureRows {
  readonly #feature_hwD: Tensor;
  readonly #norm_hw1: Tensor;
  /** Cached: rows and scales are requested separately but computed in one pass. */
  #rows: EncodedRows | null | undefined;

  constructor(feature_hwD: Tensor) {
    this.#feature_hwD = feature_hwD;
    this.#norm_hw1 = scope(() => ops.sqrt(ops.sum(ops.square(feature_hwD), [2], true)));
  }

  norm_hw(): Tensor {
    return ops.reshape(this.#norm_hw1, this.#norm_hw1.shape.slice(0, 2));
  }

  embedding_hwD(): Tensor {
    return scope(() =>
      ops.div(this.#feature_hwD, ops.maximum(this.#norm_hw1, scalar(SMALLEST_NORM))),
    );
  }

  encodedRows(): EncodedRows | null {
    if (this.#rows === undefined) this.#rows = encodeRows(this.embedding_hwD());
    return this.#rows;
  }
}
