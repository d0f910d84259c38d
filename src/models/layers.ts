/** The layers of which networks are built. */
import {
  type Activation,
  type AfterNorm,
  type DropoutUnit,
  differentiable,
  type Parameter,
  scope,
  type Tape,
  type Var,
} from '../tensor/index.js';
import type { Builder } from './builder.js';
import type { ForwardContext } from './context.js';
import type { BatchCounter } from './buffers.js';
import { exportTensor } from './layout.js';

export interface Layer {
  forward(context: ForwardContext, x: Var): Var;
  /**
   * The same for an x that nobody else needs: a layer that has a use for the memory frees x, unless the tape holds it, before
   * it is done. The caller frees it afterwards in any case.
   */
  consume?(context: ForwardContext, x: Var): Var;
}

export interface ConvolutionOptions {
  readonly inputs: number;
  readonly outputs: number;
  /** Height and width of the kernel, odd. */
  readonly kernel: number;
  readonly stride?: number;
  readonly dilation?: number;
  /** One filter per channel; inputs = outputs. */
  readonly depthwise?: boolean;
}

/** A convolution without a bias; padding = dilation * (kernel - 1) / 2. */
export class Convolution implements Layer {
  readonly #weights: Parameter;
  readonly #depthwise: boolean;
  readonly #geometry: { stride: number; dilation: number; padding: number };

  constructor(at: Builder, options: ConvolutionOptions) {
    const { inputs, outputs, kernel, stride = 1, dilation = 1, depthwise = false } = options;
    const shape = [outputs, depthwise ? 1 : inputs, kernel, kernel];
    this.#weights = at.parameter('weight', shape, depthwise ? 'depthwise' : 'convolution');
    this.#depthwise = depthwise;
    this.#geometry = { stride, dilation, padding: (dilation * (kernel - 1)) / 2 };
  }

  forward({ tape }: ForwardContext, x: Var): Var {
    const convolve = this.#depthwise ? differentiable.depthwiseConv2d : differentiable.conv2d;
    return convolve(tape, x, tape.parameter(this.#weights), this.#geometry);
  }

  /** Convolution, norm, shortcut and activation as one op: for inference. */
  normalised(
    { tape, products = 'float32' }: ForwardContext,
    x: Var,
    norm: BatchNorm,
    after: AfterNorm,
  ): Var {
    const geometry = { ...this.#geometry, depthwise: this.#depthwise, products };
    const weights = tape.parameter(this.#weights);
    const normalisation = norm.weightsAndStatistics(tape);
    return differentiable.normalisedConvolution(tape, x, weights, geometry, normalisation, after);
  }
}

/** Batch norm; as a layer with the given activation behind it. */
export class BatchNorm implements Layer {
  readonly #scale: Parameter;
  readonly #offset: Parameter;
  readonly #mean: Parameter;
  readonly #variance: Parameter;
  readonly #counter: BatchCounter;
  readonly #after: AfterNorm;

  constructor(at: Builder, channels: number, activation: Activation = 'none') {
    this.#after = { activation, shortcut: null };
    this.#scale = at.parameter('weight', [channels], 'norm_scale');
    this.#offset = at.parameter('bias', [channels], 'norm_offset');
    this.#mean = at.buffer('running_mean', [channels], 'running_mean');
    this.#variance = at.buffer('running_var', [channels], 'running_var');
    this.#counter = at.counter('num_batches_tracked');
  }

  /** after(norm(x)) */
  forward(context: ForwardContext, x: Var, after: AfterNorm = this.#after): Var {
    const { tape, training, staged, share } = context;
    if (!training) {
      const { scale_C, offset_C, ...running } = this.weightsAndStatistics(tape);
      return differentiable.batchNormInference(tape, x, { scale_C, offset_C }, running, after);
    }
    const weights = this.#weights(tape);
    const before = { mean_C: staged.latest(this.#mean), variance_C: staged.latest(this.#variance) };
    const ranks = share?.norms === 'synchronised' ? share.ranks : undefined;
    const { y, running } = differentiable.batchNormOver(ranks, tape, x, weights, before, after);
    staged.stage(this.#mean, running.mean_C);
    staged.stage(this.#variance, running.variance_C);
    staged.countBatch(this.#counter);
    return y;
  }

  weightsAndStatistics(tape: Tape) {
    const running = { mean_C: this.#mean.read(), variance_C: this.#variance.read() };
    return { ...this.#weights(tape), ...running };
  }

  #weights(tape: Tape) {
    return { scale_C: tape.parameter(this.#scale), offset_C: tape.parameter(this.#offset) };
  }
}

/** Convolution, batch norm and activation; one op in inference. */
export class ConvolutionUnit implements Layer {
  readonly #convolution: Convolution;
  readonly #norm: BatchNorm;
  readonly #activation: Activation;

  constructor(
    convolutionAt: Builder,
    normAt: Builder,
    options: ConvolutionOptions & { readonly activation: Activation },
  ) {
    this.#convolution = new Convolution(convolutionAt, options);
    this.#norm = new BatchNorm(normAt, options.outputs);
    this.#activation = options.activation;
  }

  /** Adds the shortcut, if any, before the activation. */
  forward(context: ForwardContext, x: Var, shortcut: Var | null = null): Var {
    const after = { activation: this.#activation, shortcut };
    return scope(() => {
      const isFinal = !context.training && !context.tape.recording;
      if (isFinal) return this.#convolution.normalised(context, x, this.#norm, after);
      const convolved = this.#convolution.forward(context, x);
      const y = this.#norm.forward(context, convolved, after);
      convolved.value.dispose();
      return y;
    });
  }
}

/** The last convolution of a head: 1x1 with a bias. */
export class Classifier implements Layer {
  readonly #weights: Parameter;
  readonly #bias: Parameter;

  constructor(at: Builder, inputs: number, classes: number) {
    this.#weights = at.parameter('weight', [classes, inputs, 1, 1], 'classifier');
    this.#bias = at.parameter('bias', [classes], 'bias');
  }

  /** Copies of the weights [K, D] and the bias [K]: K classes, D input channels. */
  values(): { weights_KD: Float32Array; bias_K: Float32Array } {
    const weights_KD = scope(() => exportTensor('classifier', this.#weights.read()));
    return { weights_KD, bias_K: this.#bias.toFloat32() };
  }

  forward({ tape }: ForwardContext, x: Var): Var {
    const geometry = { stride: 1, dilation: 1, padding: 0 };
    const [weights, bias] = [tape.parameter(this.#weights), tape.parameter(this.#bias)];
    return differentiable.conv2d(tape, x, weights, geometry, bias);
  }
}

export class Dropout implements Layer {
  readonly #probability: number;
  readonly #unit: DropoutUnit;
  readonly #number: number;

  constructor(at: Builder, probability: number, unit: DropoutUnit = 'element') {
    this.#probability = probability;
    this.#unit = unit;
    this.#number = at.nextDropout();
  }

  forward({ tape, dropoutSeed, share }: ForwardContext, x: Var): Var {
    if (dropoutSeed === null) return x;
    const firstImage = (share?.rank ?? 0) * x.shape[0]!;
    const options = { probability: this.#probability, unit: this.#unit, firstImage };
    return differentiable.dropout(tape, x, options, dropoutSeed(this.#number));
  }
}

/**
 * Applies layers in order and frees each intermediate tensor as soon as nothing needs it. `owned`: x as well, which nobody
 * else needs.
 */
export function sequence(
  context: ForwardContext,
  x: Var,
  layers: readonly Layer[],
  owned = false,
): Var {
  let current = x;
  for (const layer of layers) {
    const isOwned = owned || current !== x;
    const next = scope(() =>
      isOwned && layer.consume !== undefined
        ? layer.consume(context, current)
        : layer.forward(context, current),
    );
    if (isOwned && next !== current) current.value.dispose();
    current = next;
  }
  return current;
}
