/**
 * A block of graph convolution over all positions of a map, whose edges are the softmax of their similarities: non-local
 * attention of half the channels, joined with the map. CIRKD's second version puts it between the student's feature and
 * the terms that compare it; it is trained with the student and needed for nothing else.
 * Source: `losses/gcn.py` of the official code (CIRKDv2); names of the weights as there.
 *
 * N images, H W positions, P = H * W, C channels, B = C / 2.
 */
import { differentiable, scope, type Var } from '../tensor/index.js';
import { Builder, type WeightSource } from './builder.js';
import type { ForwardContext } from './context.js';
import { Convolution, ConvolutionUnit } from './layers.js';
import { TrainedPart } from './trainedPart.js';

/** Begins the names of the weights, and names their file. */
export const GRAPH_CONVOLUTION = 'graph_convolution';

/** Of the P x P matrix, a few of which are in memory at a time: 16 MiB. */
const TILE_ELEMENTS = 2 ** 22;

export class GraphConvolution extends TrainedPart {
  readonly #query: Convolution;
  readonly #key: Convolution;
  readonly #value: Convolution;
  readonly #attended: ConvolutionUnit;
  readonly #joined: ConvolutionUnit;

  /** Throws RangeError if the channels can't be halved. */
  constructor(channels: number, weights: WeightSource) {
    super();
    if (channels < 2)
      throw new RangeError(`graph convolution: ${channels} channels, wanted 2 or more`);
    const half = Math.floor(channels / 2);
    const at = new Builder(this.state, weights).at(GRAPH_CONVOLUTION);
    const node = (name: string) =>
      new Convolution(at.at(name), { inputs: channels, outputs: half, kernel: 1 });
    const unit = (name: string, inputs: number) =>
      new ConvolutionUnit(at.at(name).at(0), at.at(name).at(1), {
        ...{ inputs, outputs: channels, kernel: 1, activation: 'relu' },
      });
    this.#key = node('node_k');
    this.#value = node('node_v');
    this.#query = node('node_q');
    this.#attended = unit('conv1', half);
    this.#joined = unit('out_conv', 2 * channels);
  }

  /** [N, H, W, C] -> [N, H, W, C] */
  forward(context: ForwardContext, feature_NHWC: Var): Var {
    const { tape } = context;
    return scope(() => {
      const rows = (layer: Convolution) => {
        const map_NHWB = layer.forward(context, feature_NHWC);
        const [images = 0, height = 0, width = 0, half = 0] = map_NHWB.shape;
        return differentiable.reshape(tape, map_NHWB, [images, height * width, half]);
      };
      const query_NPB = rows(this.#query);
      const [, , half = 0] = query_NPB.shape;
      const attended_NPB = differentiable.attention(
        ...([tape, query_NPB, rows(this.#key), rows(this.#value)] as const),
        { factor: half ** -0.5, tileElements: TILE_ELEMENTS },
      );
      const [images = 0, height = 0, width = 0] = feature_NHWC.shape;
      const map_NHWB = differentiable.reshape(tape, attended_NPB, [images, height, width, half]);
      const attended_NHWC = this.#attended.forward(context, map_NHWB);
      const both = differentiable.concat(tape, [feature_NHWC, attended_NHWC], 3);
      return this.#joined.forward(context, both);
    });
  }
}
