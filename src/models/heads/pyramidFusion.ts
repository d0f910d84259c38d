/**
 * The layers of SegFormer's head that bring four maps to one: each map to the same channels (its embedding),
 * resized to the first map's size, joined, fused by a 1x1 convolution.
 *
 * Computed in another order, with the same result but for rounding. A 1x1 convolution mixes channels, resizing
 * mixes positions, so they can change places: the fusing convolution's part for a map is applied at the map's
 * own size, and the results are resized and added up. The joined map, four times as deep as the result, is
 * never in memory. Where an embedding is linear, it and its part of the fusing convolution are one 1x1
 * convolution, whose weights are their product. For MiT-B2 that leaves a twentieth of the multiplications.
 */
import { differentiable, type Parameter, scope, type Tape, type Var } from '../../tensor/index.js';
import type { Builder } from '../builder.js';
import type { ForwardContext } from '../context.js';
import type { Layer } from '../layers.js';
import { Linear } from '../transformerLayers.js';

export interface FusionOptions {
  /** Channels of each embedding and of the result. */
  readonly channels: number;
  /** Of the fusing convolution. */
  readonly hasBias: boolean;
  /** Numbers of the maps in the order in which they are joined. */
  readonly joined: readonly number[];
  /** How maps are resized. */
  readonly alignCorners: boolean;
}

const POINTWISE = { stride: 1, dilation: 1, padding: 0 } as const;
/** In a 1x1 convolution's weights, [1, 1, inputs, outputs]. */
const INPUTS_AXIS = 2;

interface Part {
  /** The map's own contribution, [N, h, w, channels]. */
  readonly map: Var;
  /** What a linear embedding's bias adds everywhere, [1, 1, 1, channels]. */
  readonly bias: Var | null;
}

export class PyramidFusion {
  readonly #embeddings: readonly Layer[];
  readonly #weights: Parameter;
  readonly #bias: Parameter | null;
  readonly #options: FusionOptions;

  /** @param embeddings for each map, the largest first */
  constructor(at: Builder, embeddings: readonly Layer[], options: FusionOptions) {
    const { channels, hasBias, joined } = options;
    const shape = [channels, joined.length * channels, 1, 1];
    this.#embeddings = embeddings;
    this.#weights = at.parameter('weight', shape, 'convolution');
    this.#bias = hasBias ? at.parameter('bias', [channels], 'bias') : null;
    this.#options = options;
  }

  /** maps: [N, h, w, ...], the largest first -> [N, h, w, channels] */
  forward(context: ForwardContext, maps: readonly Var[]): Var {
    const { tape } = context;
    const { alignCorners } = this.#options;
    const [, height = 0, width = 0] = maps[0]!.shape;
    const size = { height, width };
    return scope(() => {
      const biases = this.#bias === null ? [] : [this.#flat(tape, tape.parameter(this.#bias))];
      let sum: Var | null = null;
      // The smallest first: the largest map's contribution is in memory for the shortest time.
      for (const stage of [...maps.keys()].reverse()) {
        const { map, bias }: Part = scope(() => this.#part(context, stage, maps[stage]!));
        if (bias !== null) biases.push(bias);
        const before: Var | null = sum;
        sum = scope((): Var => {
          const resized = differentiable.resizeBilinear(tape, map, size, alignCorners);
          return before === null ? resized : differentiable.add(tape, before, resized);
        });
        if (sum !== map) map.value.dispose();
        if (before !== null) before.value.dispose();
      }
      return this.#biased(tape, sum!, biases);
    });
  }

  #part(context: ForwardContext, stage: number, map: Var): Part {
    const { tape } = context;
    const { channels, joined } = this.#options;
    const begin = joined.indexOf(stage) * channels;
    const all = tape.parameter(this.#weights);
    const own = differentiable.axisRange(tape, all, INPUTS_AXIS, begin, channels);
    const convolved = (x: Var, weights: Var) => differentiable.conv2d(tape, x, weights, POINTWISE);
    const embedding = this.#embeddings[stage]!;
    if (!(embedding instanceof Linear)) {
      return { map: convolved(embedding.forward(context, map), own), bias: null };
    }
    const { weights, bias } = embedding.values(tape);
    // A row of the product of both for each of the map's channels.
    const merged = convolved(weights, own);
    return { map: convolved(map, merged), bias: convolved(this.#flat(tape, bias), own) };
  }

  /** [channels] -> [1, 1, 1, channels] */
  #flat(tape: Tape, bias: Var): Var {
    return differentiable.reshape(tape, bias, [1, 1, 1, this.#options.channels]);
  }

  #biased(tape: Tape, sum: Var, biases: readonly Var[]): Var {
    const [first, ...rest] = biases;
    if (first === undefined) return sum;
    const total = rest.reduce((all, bias) => differentiable.add(tape, all, bias), first);
    const flat = differentiable.reshape(tape, total, [this.#options.channels]);
    const y = differentiable.biasAdd(tape, sum, flat);
    sum.value.dispose();
    return y;
  }
}
