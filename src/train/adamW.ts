/**
 * Adam with decoupled weight decay (Loshchilov and Hutter 2019), like PyTorch's `optim.AdamW`, with t from 1:
 *
 *     w -= rate * weightDecay * w
 *     m = beta1 * m + (1 - beta1) * gradient;  v = beta2 * v + (1 - beta2) * gradient²
 *     w -= rate * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
 */
import { ops, Parameter, scalar, scope, type Tensor, zeros } from '../tensor/index.js';
import type { Optimizer } from './optimizer.js';

export interface AdamWSettings {
  readonly betas: readonly [number, number];
  readonly epsilon: number;
  readonly weightDecay: number;
}

/** How a parameter differs from the others. */
export interface ParameterGroup {
  /** Factor on the learning rate, that of the decay included, as with a group of PyTorch. */
  readonly rateFactor: number;
  readonly isDecayed: boolean;
}

interface Slot {
  readonly mean: Parameter;
  readonly square: Parameter;
  readonly group: ParameterGroup;
}

/** Holds two moments per parameter, initially zero, until dispose(). */
export class AdamW implements Optimizer {
  readonly #slots = new Map<Parameter, Slot>();
  readonly #settings: AdamWSettings;

  constructor(
    parameters: readonly Parameter[],
    settings: AdamWSettings,
    groupOf: (parameter: Parameter) => ParameterGroup = () => ({ rateFactor: 1, isDecayed: true }),
  ) {
    this.#settings = settings;
    for (const parameter of parameters) {
      const { name, size, shape } = parameter;
      const moment = (kind: string) =>
        new Parameter(`${kind}.${name}`, new Float32Array(size), shape);
      const group = groupOf(parameter);
      this.#slots.set(parameter, { mean: moment('mean'), square: moment('square'), group });
    }
  }

  apply(gradients: ReadonlyMap<Parameter, Tensor>, learningRate: number, step: number): void {
    const { betas, epsilon, weightDecay } = this.#settings;
    for (const [parameter, { mean, square, group }] of this.#slots) {
      scope(() => {
        const rate = learningRate * group.rateFactor;
        if (group.isDecayed && weightDecay > 0) decay(parameter, 1 - rate * weightDecay);
        const gradient = gradients.get(parameter) ?? zeros(parameter.shape);
        parameter.applyAdam({ mean, square }, gradient, { rate, betas, epsilon, update: step + 1 });
      });
    }
  }

  slots(): ReadonlyMap<string, ReadonlyMap<Parameter, Parameter>> {
    const of = (kind: 'mean' | 'square') =>
      new Map([...this.#slots].map(([parameter, slot]) => [parameter, slot[kind]]));
    return new Map([
      ['mean.', of('mean')],
      ['square.', of('square')],
    ]);
  }

  dispose(): void {
    for (const { mean, square } of this.#slots.values()) {
      mean.dispose();
      square.dispose();
    }
    this.#slots.clear();
  }
}

/** The inner scope frees the weights that were read: TensorFlow would copy them at the update otherwise. */
function decay(parameter: Parameter, factor: number): void {
  scope(() => parameter.assign(scope(() => ops.mul(parameter.read(), scalar(factor)))));
}
