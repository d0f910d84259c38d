/**
 * Encodes a network's outputs for one image as the tensors that a student requested.
 *
 * h w positions, K classes, D feature channels. Only what is requested is computed.
 */
import { ops, scalar, scope, type Tensor } from '../../tensor/index.js';
import type { EncodedTensor } from '../../contract/encodedTensor.js';
import { NonFiniteOutputError } from '../../contract/inference.js';
import {
  dtypeOfOutput,
  type EncodedOutput,
  hasOutput,
  type OutputName,
  OUTPUTS,
  type OutputRequest,
} from '../../contract/outputs.js';
import { type EncodedRows, encodeFinite, encodeRows } from './encode.js';

/** ||v|| below this counts as this, as in PyTorch's normalize. */
const SMALLEST_NORM = 1e-12;

/** What a network gives for one image; null: not requested, or it has none. */
export interface ImageMaps {
  readonly logits_hwK: Tensor | null;
  readonly feature_hwD: Tensor | null;
  /** Logits of the auxiliary head. */
  readonly aux_hwK: Tensor | null;
}

/**
 * In the order of the requests; NonFiniteOutputError where one of them holds a non-finite value. Throws
 * RangeError if the map of a request isn't there.
 */
export function encodeOutputs(
  maps: ImageMaps,
  requests: readonly OutputRequest[],
): EncodedOutput[] | NonFiniteOutputError {
  const image = new ImageOutputs(maps);
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

/** Throws RangeError on an output or encoding that a network with these parts doesn't offer. */
export function checkRequest(
  { output, encoding }: OutputRequest,
  parts: Parameters<typeof hasOutput>[0],
): void {
  const facts = OUTPUTS[output];
  if (facts?.scope !== 'image') {
    const names = Object.keys(OUTPUTS).filter(
      (name) => OUTPUTS[name as OutputName].scope === 'image',
    );
    throw new RangeError(`output: ${output} given, wanted ${names.join(', ')}`);
  }
  if (!hasOutput(parts, output)) {
    const lacks = facts.of === 'aux' ? 'auxiliary logits' : 'feature';
    throw new RangeError(`output: ${output} given, and the network provides no ${lacks}`);
  }
  const wanted = facts.encodings;
  if (!wanted.includes(encoding)) {
    throw new RangeError(`encoding: ${encoding} given for ${output}, wanted ${wanted.join(', ')}`);
  }
}

class ImageOutputs {
  readonly #maps: ImageMaps;
  readonly #feature: FeatureRows | null;

  constructor(maps: ImageMaps) {
    this.#maps = maps;
    this.#feature = maps.feature_hwD === null ? null : new FeatureRows(maps.feature_hwD);
  }

  encode({ output, encoding }: OutputRequest): EncodedTensor | null {
    const dtype = encoding === 'fp16' ? 'fp16' : 'fp32';
    const { logits_hwK, aux_hwK } = this.#maps;
    switch (output) {
      case 'logits':
        return encodeFinite(present(logits_hwK, output), dtype);
      case 'aux_norm':
        return encodeFinite(rowNorms(present(aux_hwK, output)), 'fp32');
      case 'feature_norm':
        return encodeFinite(this.#rows(output).norm_hw(), 'fp32');
      case 'embedding_scale':
        return this.#rows(output).encodedRows()?.scales ?? null;
      case 'embedding':
        if (encoding === 'int8') return this.#rows(output).encodedRows()?.rows ?? null;
        return encodeFinite(this.#rows(output).embedding_hwD(), dtype);
      case 'classifier':
        throw new RangeError('output: classifier given, which belongs to no image');
    }
  }

  #rows(output: OutputName): FeatureRows {
    return present(this.#feature, output);
  }
}

function present<T>(map: T | null, output: OutputName): T {
  if (map === null) throw new RangeError(`output: ${output} given, and its map isn't there`);
  return map;
}

/** [h, w] from [h, w, channels]. */
function rowNorms(map_hwC: Tensor): Tensor {
  return scope(() => ops.sqrt(ops.sum(ops.square(map_hwC), [2])));
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
