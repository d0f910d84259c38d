/** Creates the entries of a network, layer by layer, in construction order. */
import { Parameter, scope, Tensor } from '../tensor/index.js';
import { type EntryRole, importShape, importTensor } from './layout.js';
import type { ModelState } from './modelState.js';
import { BatchCounter } from './buffers.js';

/**
 * How the code that a part comes from draws its first weights: a backbone of convolutions, a SegFormer's, mmsegmentation's
 * heads, or what PyTorch's modules do of themselves.
 */
export type Initialisation = 'backbone' | 'transformer' | 'mmsegmentation_head' | 'module';

/**
 * Gives the initial values for a full official name, in C order and PyTorch's layout.
 * The builder takes ownership of the array.
 */
export type WeightSource = (
  name: string,
  shape: readonly number[],
  role: EntryRole,
  initialisation: Initialisation,
) => Float32Array;

/** May also give a tensor of the caller's scope, in TensorFlow's layout. */
export type TensorSource = (
  ...weight: Parameters<WeightSource>
) => ReturnType<WeightSource> | Tensor;

export class Builder {
  readonly #state: ModelState;
  readonly #weights: TensorSource;
  readonly #prefix: string;
  readonly #dropouts: { made: number };
  readonly #initialisation: Initialisation;

  constructor(
    state: ModelState,
    weights: TensorSource,
    prefix = '',
    dropouts: { made: number } = { made: 0 },
    initialisation: Initialisation = 'module',
  ) {
    this.#state = state;
    this.#weights = weights;
    this.#prefix = prefix;
    this.#dropouts = dropouts;
    this.#initialisation = initialisation;
  }

  /** A builder for the submodule of this name. */
  at(name: string | number): Builder {
    return this.#inside(this.#full(String(name)), this.#initialisation);
  }

  /** The same place, with another initialisation of what is built there. */
  initialisedAs(initialisation: Initialisation): Builder {
    return this.#inside(this.#prefix, initialisation);
  }

  parameter(name: string, shape: readonly number[], role: EntryRole): Parameter {
    return this.#tensor('parameter', name, shape, role);
  }

  buffer(name: string, shape: readonly number[], role: EntryRole): Parameter {
    return this.#tensor('buffer', name, shape, role);
  }

  counter(name: string): BatchCounter {
    const counter = new BatchCounter(this.#full(name));
    this.#state.entries.push({ kind: 'counter', name: counter.name, shape: [], counter });
    return counter;
  }

  /** The number of the next dropout layer, from 0. */
  nextDropout(): number {
    const number = this.#dropouts.made;
    this.#dropouts.made += 1;
    return number;
  }

  #inside(prefix: string, initialisation: Initialisation): Builder {
    return new Builder(this.#state, this.#weights, prefix, this.#dropouts, initialisation);
  }

  #full(name: string): string {
    return this.#prefix === '' ? name : `${this.#prefix}.${name}`;
  }

  #tensor(
    kind: 'parameter' | 'buffer',
    name: string,
    shape: readonly number[],
    role: EntryRole,
  ): Parameter {
    const full = this.#full(name);
    const parameter = scope(() => {
      const given = this.#weights(full, shape, role, this.#initialisation);
      const values = given instanceof Tensor ? given.size : given.length;
      const size = shape.reduce((product, length) => product * length, 1);
      if (values !== size) {
        throw new Error(`${full}: ${values} values given, shape [${shape}] wants ${size}`);
      }
      const tensor = given instanceof Tensor ? given : importTensor(role, given, shape);
      return new Parameter(full, tensor, importShape(role, shape));
    });
    this.#state.entries.push({ kind, name: full, shape, role, parameter });
    return parameter;
  }
}
