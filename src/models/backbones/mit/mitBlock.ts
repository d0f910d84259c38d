/** A block of a Mix Transformer: attention and a feed-forward network, each with norm and shortcut. */
import { differentiable, scope, type Var } from '../../../tensor/index.js';
import type { Builder } from '../../builder.js';
import type { ForwardContext } from '../../context.js';
import { Dropout, type Layer, sequence } from '../../layers.js';
import { BiasedConvolution, LayerNorm, Linear } from '../../transformerLayers.js';
import { type AttentionSize, EfficientAttention } from './efficientAttention.js';
import type { MitForm } from './mitForm.js';

/** Hidden channels of the feed-forward network per channel. */
const EXPANSION = 4;

export interface BlockOptions extends AttentionSize {
  /** Probability with which each of the two branches is dropped for an image. */
  readonly dropPath: number;
}

export class MitBlock implements Layer {
  readonly #branches: readonly (readonly Layer[])[];

  constructor(at: Builder, form: MitForm, options: BlockOptions) {
    const { channels, dropPath } = options;
    const names = form.blockNames;
    const norm = (name: string) => new LayerNorm(at.at(name), channels, form.epsilon.outer);
    const dropped = () => (dropPath === 0 ? [] : [new Dropout(at, dropPath, 'image')]);
    this.#branches = [
      [norm(names.norm1), new EfficientAttention(at, form, options), ...dropped()],
      [norm(names.norm2), ...feedForward(at, form, channels), ...dropped()],
    ];
  }

  /** [N, H, W, C] -> [N, H, W, C] */
  forward(context: ForwardContext, x: Var): Var {
    let current = x;
    for (const layers of this.#branches) {
      const next = scope(() =>
        differentiable.add(context.tape, current, sequence(context, current, layers)),
      );
      if (current !== x) current.value.dispose();
      current = next;
    }
    return current;
  }
}

const gelu: Layer = { forward: ({ tape }, x) => differentiable.gelu(tape, x) };

/** Section 3.1 of the paper, "Mix-FFN": the 3x3 convolution replaces an encoding of positions. */
function feedForward(at: Builder, form: MitForm, channels: number): Layer[] {
  const names = form.blockNames;
  const hidden = EXPANSION * channels;
  const dense = (name: string, inputs: number, outputs: number) =>
    form.denseAsConvolution
      ? new BiasedConvolution(at.at(name), { inputs, outputs, kernel: 1 })
      : new Linear(at.at(name), inputs, outputs);
  return [
    dense(names.dense1, channels, hidden),
    new BiasedConvolution(at.at(names.depthwise), {
      ...{ inputs: hidden, outputs: hidden, kernel: 3, padding: 1, depthwise: true },
    }),
    gelu,
    dense(names.dense2, hidden, channels),
  ];
}
