/** Layers of transformers, on maps [N, H, W, C]: convolutions and linear layers with bias, layer norm. */
import { differentiable, type Parameter, type Tape, type Var } from '../tensor/index.js';
import type { Builder } from './builder.js';
import type { ForwardContext } from './context.js';
import type { Layer } from './layers.js';

export interface BiasedConvolutionOptions {
  readonly inputs: number;
  readonly outputs: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly padding?: number;
  /** One filter per channel; inputs = outputs. */
  readonly depthwise?: boolean;
}

/** A convolution with a bias. */
export class BiasedConvolution implements Layer {
  readonly #weights: Parameter;
  readonly #bias: Parameter;
  readonly #depthwise: boolean;
  readonly #geometry: { stride: number; dilation: number; padding: number };

  constructor(at: Builder, options: BiasedConvolutionOptions) {
    const { inputs, outputs, kernel, stride = 1, padding = 0, depthwise = false } = options;
    const shape = [outputs, depthwise ? 1 : inputs, kernel, kernel];
    this.#weights = at.parameter('weight', shape, depthwise ? 'depthwise' : 'convolution');
    this.#bias = at.parameter('bias', [outputs], 'bias');
    this.#depthwise = depthwise;
    this.#geometry = { stride, dilation: 1, padding };
  }

  forward({ tape }: ForwardContext, x: Var): Var {
    const convolve = this.#depthwise ? differentiable.depthwiseConv2d : differentiable.conv2d;
    const [weights, bias] = [tape.parameter(this.#weights), tape.parameter(this.#bias)];
    return convolve(tape, x, weights, this.#geometry, bias);
  }
}

/** x W + bias at each position. */
export function linear(tape: Tape, x: Var, weights: Var, bias: Var): Var {
  const geometry = { stride: 1, dilation: 1, padding: 0 };
  return differentiable.conv2d(tape, x, weights, geometry, bias);
}

/** PyTorch's Linear: weights [outputs, inputs]. */
export class Linear implements Layer {
  readonly #weights: Parameter;
  readonly #bias: Parameter;

  constructor(at: Builder, inputs: number, outputs: number) {
    this.#weights = at.parameter('weight', [outputs, inputs], 'linear');
    this.#bias = at.parameter('bias', [outputs], 'bias');
  }

  forward({ tape }: ForwardContext, x: Var): Var {
    const { weights, bias } = this.values(tape);
    return linear(tape, x, weights, bias);
  }

  /** The weights as those of a 1x1 convolution, [1, 1, inputs, outputs], and the bias. */
  values(tape: Tape): { weights: Var; bias: Var } {
    return { weights: tape.parameter(this.#weights), bias: tape.parameter(this.#bias) };
  }
}

export class LayerNorm implements Layer {
  readonly #scale: Parameter;
  readonly #offset: Parameter;
  readonly #epsilon: number;

  constructor(at: Builder, channels: number, epsilon: number) {
    this.#scale = at.parameter('weight', [channels], 'norm_scale');
    this.#offset = at.parameter('bias', [channels], 'norm_offset');
    this.#epsilon = epsilon;
  }

  forward({ tape }: ForwardContext, x: Var): Var {
    const [scale, offset] = [tape.parameter(this.#scale), tape.parameter(this.#offset)];
    return differentiable.layerNorm(tape, x, scale, offset, this.#epsilon);
  }
}
