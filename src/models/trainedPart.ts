/** A part of a run with weights of its own: a network, or a head that is trained beside one. */
import type { Parameter, Tensor } from '../tensor/index.js';
import type { NamedTensor, NamedTensors } from '../wire/safetensors.js';
import { type LoadOptions, type LoadResult, ModelState } from './modelState.js';

export abstract class TrainedPart {
  readonly state = new ModelState();

  /** All trained weights, in state-dict order. */
  parameters(): Parameter[] {
    return this.state.parameters();
  }

  /** Copies under official names, in official layout and order; F32, batch counts I64. */
  stateDict(): Map<string, NamedTensor> {
    return this.state.stateDict();
  }

  /** The same one after the other. */
  exported(): Iterable<readonly [name: string, tensor: NamedTensor]> {
    return this.state.exported();
  }

  /** See ModelState.loadStateDict. */
  loadStateDict(tensors: NamedTensors, options: LoadOptions): LoadResult {
    return this.state.loadStateDict(tensors, options);
  }

  /** Converts a gradient or velocity of a parameter to the official layout. */
  officialLayout(parameter: Parameter, tensor: Tensor): NamedTensor {
    return this.state.officialLayout(parameter, tensor);
  }

  dispose(): void {
    this.state.dispose();
  }
}
