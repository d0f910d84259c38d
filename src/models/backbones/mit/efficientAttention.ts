/**
 * Multi-head attention in which keys and values come from a smaller map.
 * Source: Xie et al., "SegFormer" (NeurIPS 2021), section 3.1, "efficient self-attention".
 *
 * N images, H W positions of the map, h w of the reduced one, C channels, D = C / heads.
 */
import {
  differentiable,
  type Parameter,
  scope,
  type Tape,
  type Var,
} from '../../../tensor/index.js';
import type { Builder } from '../../builder.js';
import type { ForwardContext } from '../../context.js';
import { type Layer, sequence } from '../../layers.js';
import { BiasedConvolution, Linear, LayerNorm, linear } from '../../transformerLayers.js';
import type { MitForm, ProjectionPart } from './mitForm.js';

export interface AttentionSize {
  readonly channels: number;
  readonly heads: number;
  /** Side of the squares of positions that make one key; 1: no reduction. */
  readonly reduction: number;
}

export class EfficientAttention implements Layer {
  readonly #heads: number;
  readonly #projections: ReadonlyMap<ProjectionPart, Projection>;
  readonly #reduction: readonly Layer[];
  readonly #output: Linear;

  constructor(at: Builder, form: MitForm, { channels, heads, reduction }: AttentionSize) {
    const names = form.blockNames;
    const reduce = () =>
      reduction === 1
        ? []
        : [
            new BiasedConvolution(at.at(names.reduction), {
              ...{ inputs: channels, outputs: channels, kernel: reduction, stride: reduction },
            }),
            new LayerNorm(at.at(names.reductionNorm), channels, form.epsilon.inner),
          ];
    this.#heads = heads;
    this.#projections = projectionsOf(at, form, channels);
    const early = form.order.reductionFirst ? reduce() : null;
    this.#output = new Linear(at.at(names.output), channels, channels);
    this.#reduction = early ?? reduce();
  }

  /** [N, H, W, C] -> [N, H, W, C] */
  forward(context: ForwardContext, x: Var): Var {
    const { tape } = context;
    return scope(() => {
      const reduced = sequence(context, x, this.#reduction);
      const project = (part: ProjectionPart, map: Var) =>
        flat(tape, this.#projections.get(part)!.forward(tape, map));
      const [query, key, value] = [
        project('query', x),
        project('key', reduced),
        project('value', reduced),
      ];
      const heads = this.#heads;
      const options = { heads, factor: (query.shape[2]! / heads) ** -0.5 };
      const attended = differentiable.multiHeadAttention(tape, query, key, value, options);
      return this.#output.forward(context, differentiable.reshape(tape, attended, x.shape));
    });
  }
}

/** [N, H, W, C] -> [N, H W, C] */
function flat(tape: Tape, x: Var): Var {
  const [images = 0, height = 0, width = 0, channels = 0] = x.shape;
  return scope(() => differentiable.reshape(tape, x, [images, height * width, channels]));
}

/** Query, key or value: rows of a layer that may hold several of them. */
class Projection {
  readonly #weights: Parameter;
  readonly #bias: Parameter;
  readonly #begin: number;
  readonly #channels: number;

  constructor(weights: Parameter, bias: Parameter, begin: number, channels: number) {
    this.#weights = weights;
    this.#bias = bias;
    this.#begin = begin;
    this.#channels = channels;
  }

  forward(tape: Tape, x: Var): Var {
    return scope(() => {
      const own = (parameter: Parameter) => {
        const all = tape.parameter(parameter);
        const last = parameter.shape.length - 1;
        if (parameter.shape[last] === this.#channels) return all;
        return differentiable.axisRange(tape, all, last, this.#begin, this.#channels);
      };
      return linear(tape, x, own(this.#weights), own(this.#bias));
    });
  }
}

function projectionsOf(at: Builder, form: MitForm, channels: number) {
  const projections = new Map<ProjectionPart, Projection>();
  for (const { weight, bias, parts } of form.projections) {
    const outputs = parts.length * channels;
    const weights = at.parameter(weight, [outputs, channels], 'linear');
    const biases = at.parameter(bias, [outputs], 'bias');
    for (const [index, part] of parts.entries()) {
      projections.set(part, new Projection(weights, biases, index * channels, channels));
    }
  }
  return projections;
}
