/** What the trainer needs of an optimizer. */
import type { Parameter, Tensor } from '../tensor/index.js';

export interface Optimizer {
  /**
   * Updates every parameter in place. A parameter without a gradient is updated as with a gradient of zero.
   *
   * @param step updates made before this one
   */
  apply(gradients: ReadonlyMap<Parameter, Tensor>, learningRate: number, step: number): void;
  /**
   * What it keeps for each parameter, in the parameter's shape, by the prefix of the saved names.
   * All of its state: a run that is resumed with it and the number of the step goes on bit by bit.
   */
  slots(): ReadonlyMap<string, ReadonlyMap<Parameter, Parameter>>;
  dispose(): void;
}
