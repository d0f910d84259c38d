/** The common structure of all ResNet blocks: a path and a shortcut around it, added, then ReLU. */
import { scope, type Var } from '../../tensor/index.js';
import type { Builder } from '../builder.js';
import type { ForwardContext } from '../context.js';
import { ConvolutionUnit, type Layer, sequence } from '../layers.js';

export interface BlockOptions {
  readonly inputs: number;
  /** Channels within the block, and of a basic block's output. */
  readonly planes: number;
  readonly outputs: number;
  readonly stride: number;
  /** Dilation of the first 3x3 convolution, and of the second if there is one. */
  readonly dilations: readonly [number, number];
  /** Put a 1x1 convolution in the shortcut: needed if the block's output shape differs from its input's. */
  readonly projection: boolean;
}

export class ResidualBlock implements Layer {
  readonly #inner: readonly ConvolutionUnit[];
  readonly #last: ConvolutionUnit;
  readonly #projection: ConvolutionUnit | null;

  /**
   * Build `path` first: its entries precede the block's own in a state dict. The activation of its last
   * unit is the block's.
   */
  constructor(at: Builder, path: readonly ConvolutionUnit[], options: BlockOptions) {
    const { inputs, outputs, stride, projection } = options;
    const down = at.at('downsample');
    this.#inner = path.slice(0, -1);
    this.#last = path.at(-1)!;
    this.#projection = projection
      ? new ConvolutionUnit(down.at(0), down.at(1), {
          inputs,
          outputs,
          kernel: 1,
          stride,
          activation: 'none',
        })
      : null;
  }

  forward(context: ForwardContext, x: Var): Var {
    return this.#run(context, x, false);
  }

  consume(context: ForwardContext, x: Var): Var {
    return this.#run(context, x, true);
  }

  #run(context: ForwardContext, x: Var, isOwned: boolean): Var {
    return scope(() => {
      const inner = sequence(context, x, this.#inner);
      const shortcut = this.#projection === null ? x : this.#projection.forward(context, x);
      if (isOwned && shortcut !== x && inner !== x) x.value.dispose();
      const y = this.#last.forward(context, inner, shortcut);
      if (inner !== x) inner.value.dispose();
      if (shortcut !== x) shortcut.value.dispose();
      return y;
    });
  }
}
