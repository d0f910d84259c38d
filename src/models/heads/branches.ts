/** Parts of pyramid heads: branches that process one map in different ways and are concatenated. */
import { differentiable, scope, type Var } from '../../tensor/index.js';
import type { Builder } from '../builder.js';
import type { ForwardContext } from '../context.js';
import { ConvolutionUnit, type Layer } from '../layers.js';

interface UnitOptions {
  readonly inputs: number;
  readonly outputs: number;
  readonly kernel: 1 | 3;
  readonly dilation?: number;
}

/** Convolution, batch norm and ReLU in a Sequential, at indices `first` and `first` + 1. */
export function sequentialUnit(at: Builder, options: UnitOptions, first = 0): ConvolutionUnit {
  const builders = [at.at(first), at.at(first + 1)] as const;
  return new ConvolutionUnit(...builders, { ...options, activation: 'relu' });
}

/** The same with the names of mmcv's ConvModule: conv and bn. */
export function convModule(at: Builder, options: UnitOptions): ConvolutionUnit {
  return new ConvolutionUnit(at.at('conv'), at.at('bn'), { ...options, activation: 'relu' });
}

/** Concatenates the outputs of all branches along the channels. */
export class Branches implements Layer {
  readonly #branches: readonly Layer[];

  constructor(branches: readonly Layer[]) {
    this.#branches = branches;
  }

  forward(context: ForwardContext, x: Var): Var {
    return scope(() => differentiable.concat(context.tape, this.#outputs(context, x), 3));
  }

  consume(context: ForwardContext, x: Var): Var {
    return scope(() => {
      const outputs = this.#outputs(context, x);
      if (!outputs.includes(x)) x.value.dispose();
      return differentiable.concat(context.tape, outputs, 3);
    });
  }

  #outputs(context: ForwardContext, x: Var): Var[] {
    return this.#branches.map((branch) => branch.forward(context, x));
  }
}

/** Passes the map through unchanged. */
export const identity: Layer = { forward: (_, x) => x };

/** Averages bins x bins cells of the map, applies a unit and resizes its output to the map's size. */
export class PooledBranch implements Layer {
  readonly #bins: number;
  readonly #unit: Layer;
  readonly #alignCorners: boolean;

  constructor(bins: number, unit: Layer, alignCorners: boolean) {
    this.#bins = bins;
    this.#unit = unit;
    this.#alignCorners = alignCorners;
  }

  forward(context: ForwardContext, x: Var): Var {
    const [, height = 0, width = 0] = x.shape;
    return scope(() => {
      const pooled = differentiable.adaptiveAveragePool(context.tape, x, this.#bins);
      const y = this.#unit.forward(context, pooled);
      return differentiable.resizeBilinear(context.tape, y, { height, width }, this.#alignCorners);
    });
  }
}
