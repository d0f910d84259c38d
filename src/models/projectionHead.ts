/**
 * Maps student features to the teacher's channel count for the memory losses, and for the channel terms: 1x1 convolution, batch norm,
 * ReLU, 1x1 convolution. Source: CIRKD (CVPR 2022), section 3.3; names as in its code.
 */
import { scope, type Var } from '../tensor/index.js';
import { Builder, type WeightSource } from './builder.js';
import type { ForwardContext } from './context.js';
import { Convolution, ConvolutionUnit, type Layer, sequence } from './layers.js';
import { TrainedPart } from './trainedPart.js';

/** Begins the names of the weights; a run may have both heads. */
export type HeadName = 'project_head' | 'channel_project_head';

export class ProjectionHead extends TrainedPart {
  readonly studentChannels: number;
  readonly teacherChannels: number;
  readonly #layers: readonly Layer[];

  static create(
    studentChannels: number,
    teacherChannels: number,
    weights: WeightSource,
    name: HeadName = 'project_head',
  ): ProjectionHead {
    return new ProjectionHead(studentChannels, teacherChannels, weights, name);
  }

  private constructor(
    studentChannels: number,
    teacherChannels: number,
    weights: WeightSource,
    name: HeadName,
  ) {
    super();
    this.studentChannels = studentChannels;
    this.teacherChannels = teacherChannels;
    const at = new Builder(this.state, weights).at(name);
    this.#layers = [
      new ConvolutionUnit(at.at(0), at.at(1), {
        inputs: studentChannels,
        outputs: teacherChannels,
        kernel: 1,
        activation: 'relu',
      }),
      new Convolution(at.at(3), { inputs: teacherChannels, outputs: teacherChannels, kernel: 1 }),
    ];
  }

  /** [N, h, w, studentChannels] -> [N, h, w, teacherChannels] */
  forward(context: ForwardContext, feature_NHWC: Var): Var {
    return scope(() => sequence(context, feature_NHWC, this.#layers));
  }
}
