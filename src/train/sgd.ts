/**
 * Stochastic gradient descent with momentum and weight decay, like PyTorch's `optim.SGD`:
 * g = gradient + weightDecay * w; v = momentum * v + g (v = g at first); w -= learningRate * v.
 * The decay applies to every parameter, biases and batch norm included, as in the official trainer.
 */
import type { Optimizer } from './optimizer.js';
import { kernels, Parameter, type Tensor } from '../tensor/index.js';

export interface SgdSettings {
  readonly momentum: number;
  readonly weightDecay: number;
}

/** Holds one velocity per parameter, initially zero, until dispose(). */
export class Sgd implements Optimizer {
  readonly #velocities = new Map<Parameter, Parameter>();
  readonly #settings: SgdSettings;

  constructor(parameters: readonly Parameter[], settings: SgdSettings) {
    this.#settings = settings;
    for (const parameter of parameters) {
      const zeros = new Float32Array(parameter.size);
      this.#velocities.set(
        parameter,
        new Parameter(`velocity.${parameter.name}`, zeros, parameter.shape),
      );
    }
  }

  /**
   * Updates every parameter in place. A parameter without a gradient is updated as with a gradient of
   * zero: it decays and keeps its momentum.
   */
  apply(gradients: ReadonlyMap<Parameter, Tensor>, learningRate: number): void {
    const { momentum, weightDecay: decay } = this.#settings;
    const updates = [...this.#velocities].map(([parameter, velocity]) => ({
      ...{ parameter, velocity },
      gradient: gradients.get(parameter) ?? null,
    }));
    kernels().momentum(updates, { rate: learningRate, momentum, decay });
  }

  /** Velocities, keyed by parameter, whose shape each has. */
  velocities(): ReadonlyMap<Parameter, Parameter> {
    return this.#velocities;
  }

  slots(): ReadonlyMap<string, ReadonlyMap<Parameter, Parameter>> {
    return new Map([['', this.#velocities]]);
  }

  dispose(): void {
    for (const velocity of this.#velocities.values()) velocity.dispose();
    this.#velocities.clear();
  }
}
