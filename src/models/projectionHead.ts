/**
 * Maps student features to the teacher's channel count for the memory losses, and for the channel terms: 1x1 convolution, batch norm,
 * ReLU, 1x1 convolution. Source: CIRKD (CVPR 2022), section 3.3; names as in its code.
 */
import { type Parameter, scope, type Tensor, type Var } from '../tensor/index.js';
import type { NamedTensor, NamedTensors } from '../wire/safetensors.js';
import { Builder, type WeightSource } from './builder.js';
import type { ForwardContext } from './context.js';
import { Convolution, ConvolutionUnit, type Layer, sequence } from './layers.js';
import { type LoadOptions, type LoadResult, ModelState } from './modelState.js';

/** Begins the names of the weights; a run may have both heads. */
export type HeadName = 'project_head' | 'channel_project_head';

export class ProjectionHead {
  readonly studentChannels: number;
  readonly teacherChannels: number;
  readonly state = new ModelState();
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

  parameters(): Parameter[] {
    return this.state.parameters();
  }

  /** [N, h, w, studentChannels] -> [N, h, w, teacherChannels] */
  forward(context: ForwardContext, feature_NHWC: Var): Var {
    return scope(() => sequence(context, feature_NHWC, this.#layers));
  }

  stateDict(): Map<string, NamedTensor> {
    return this.state.stateDict();
  }

  loadStateDict(tensors: NamedTensors, options: LoadOptions): LoadResult {
    return this.state.loadStateDict(tensors, options);
  }

  officialLayout(parameter: Parameter, tensor: Tensor): NamedTensor {
    return this.state.officialLayout(parameter, tensor);
  }

  dispose(): void {
    this.state.dispose();
  }
}
