/** A segmentation network: backbone, head and, with most ResNets, an auxiliary head. */
import { isStoredType, type Var } from '../tensor/index.js';
import { CheckpointError } from '../wire/checkpointError.js';
import { elementCount, type NamedTensors } from '../wire/safetensors.js';
import { Builder, type TensorSource, type WeightSource } from './builder.js';
import type { ForwardContext } from './context.js';
import { type StoredWeights, weightsInMemory } from './files/storedWeights.js';
import type { LoadOptions } from './modelState.js';
import type { NetworkOutputs, NetworkParts } from './networkParts.js';
import type { NetworkSpec } from './spec.js';
import { TrainedPart } from './trainedPart.js';
import { buildNetwork } from './zoo.js';

export type { NetworkOutputs };

/** Elements of missing weights up to which `load` still builds the network, so that the error names them. */
const SPARE_ELEMENTS = 16 * 2 ** 20;

export class SegmentationNetwork extends TrainedPart {
  readonly spec: NetworkSpec;
  readonly #parts: NetworkParts;

  /** Throws an Error naming the field if there is no network for the spec. */
  static create(spec: NetworkSpec, weights: WeightSource): SegmentationNetwork {
    return new SegmentationNetwork(spec, weights);
  }

  /**
   * Builds a network with the weights of a state dict. Throws CheckpointError if they don't match: with the
   * names, unless the described network is far larger than the weights.
   */
  static load(
    spec: NetworkSpec,
    tensors: NamedTensors,
    options: Omit<LoadOptions, 'strict' | 'under'> = {},
  ): SegmentationNetwork {
    return SegmentationNetwork.loadStored(spec, weightsInMemory(tensors), options);
  }

  /** The same with stored weights, of which one at a time is read. */
  static loadStored(
    spec: NetworkSpec,
    weights: StoredWeights,
    options: Omit<LoadOptions, 'strict' | 'under'> = {},
  ): SegmentationNetwork {
    const network = new SegmentationNetwork(spec, sourceOf(weights));
    try {
      network.state.adopt(weights.forms, (name) => weights.small(name), options);
      return network;
    } catch (error) {
      network.dispose();
      throw error;
    }
  }

  private constructor(spec: NetworkSpec, weights: TensorSource) {
    super();
    this.spec = spec;
    try {
      this.#parts = buildNetwork(new Builder(this.state, weights), spec);
    } catch (error) {
      this.state.dispose();
      throw error;
    }
  }

  /**
   * How logits, and maps inside the network, are resized: true as with PyTorch's align_corners=True (the
   * official code), false with half-pixel centres (torchvision, mmsegmentation).
   */
  get alignCorners(): boolean {
    return this.#parts.alignCorners;
  }

  /** Input pixels per position of the outputs, along each axis: 4 for SegFormer, 8 for all others. */
  get outputStride(): number {
    return this.#parts.outputStride;
  }

  /** Whether it has an auxiliary head. */
  get hasAux(): boolean {
    return this.#parts.hasAux;
  }

  get featureChannels(): number {
    return this.#parts.head.channels;
  }

  /** Copies of the last convolution's weights [K, D] and bias [K]: logits = feature . weights + bias. */
  classifier(): { weights_KD: Float32Array; bias_K: Float32Array } {
    return this.#parts.head.classifier.values();
  }

  /**
   * image_NHWC: normalised, 3 channels. Doesn't change the network: new running statistics go to
   * context.staged. Intermediate tensors are freed unless the tape needs them.
   * `aux: false` skips the auxiliary head.
   */
  forward(
    context: ForwardContext,
    image_NHWC: Var,
    { aux: wantAux = true }: { readonly aux?: boolean } = {},
  ): NetworkOutputs {
    return this.#parts.forward(context, image_NHWC, wantAux);
  }
}

/**
 * The weights that fit, and zeros for a network that will be refused. Bounded by the weights that are given, so that a
 * description in a file of a few bytes can't allocate gigabytes. Throws CheckpointError when more elements are requested.
 */
function sourceOf(weights: StoredWeights): TensorSource {
  const { forms } = weights;
  const elements = [...forms.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const given = Math.min(elements, weights.bytes);
  let asked = 0;
  return (name, shape, role) => {
    const count = elementCount(shape);
    asked += count;
    if (!(asked <= given + SPARE_ELEMENTS)) {
      throw new CheckpointError(
        `weights: ${given} values are given, the network wants ${asked} or more: ${name} alone [${shape}]`,
      );
    }
    const form = forms.get(name);
    const fits = form?.shape.join() === shape.join() && isStoredType(form.dtype);
    return fits ? weights.read(name, role) : new Float32Array(count);
  };
}
