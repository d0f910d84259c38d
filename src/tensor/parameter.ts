/**
 * A weight in a TensorFlow resource variable, so that updates are made in place instead of
 * allocating a new tensor. Tensors from read() share the memory; while one is alive, updates copy first.
 */
import { float32, readFloat32, scalar } from './create.js';
import { attribute, execute, executeAll } from './execute.js';
import { scope, type Tensor } from './tensor.js';
import { destroyVariable, makeVariable } from './variable.js';

/** The numbers of one update. */
export interface AdamStep {
  readonly rate: number;
  readonly betas: readonly [number, number];
  readonly epsilon: number;
  /** From 1. */
  readonly update: number;
}

export class Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly #handle: Tensor;
  /** Those that may share the variable's memory; may contain disposed ones. */
  readonly #sharing = new Set<Tensor>();
  /** Of memory(), once it was called. */
  #memory: Tensor | null = null;

  /** @param values float32: an array in C order, not to be used afterwards, or the caller's tensor */
  constructor(name: string, values: Float32Array | Tensor, shape: readonly number[]) {
    this.name = name;
    this.shape = [...shape];
    this.#handle = makeVariable(shape);
    scope(() => this.assign(values instanceof Float32Array ? float32(values, shape) : values));
  }

  get size(): number {
    return this.shape.reduce((product, length) => product * length, 1);
  }

  /** The current values, float32; later updates don't change the returned tensor. */
  read(): Tensor {
    return this.#shared(this.#read());
  }

  /**
   * The variable's own memory, for kernels that change it in place: valid until the next assign() or dispose(), and not to
   * be disposed of. If a tensor from read() is alive, or one that was assigned, it keeps the old memory and its values.
   */
  memory(): Tensor {
    this.#prune();
    if (this.#sharing.size > 0) scope(() => this.#assign(copied(this.#read())));
    this.#memory ??= this.#read().hold();
    return this.#memory;
  }

  /** Copies the values to the host, C order. */
  toFloat32(): Float32Array {
    return scope(() => readFloat32(this.read()));
  }

  assign(value: Tensor): void {
    if (value.shape.join() !== this.shape.join()) {
      throw new Error(`${this.name}: shape [${value.shape}] given, wanted [${this.shape}]`);
    }
    // Another variable may have the same memory.
    if (inVariables.has(value)) scope(() => this.#assign(copied(value)));
    else this.#shared(this.#assign(value));
  }

  /**
   * Momentum as in PyTorch's SGD: velocity = momentum * velocity + gradient,
   * this -= learningRate * velocity, both in place. learningRate and momentum are scalars.
   */
  applyMomentum(
    velocity: Parameter,
    gradient: Tensor,
    learningRate: Tensor,
    momentum: Tensor,
  ): void {
    for (const each of [this, velocity]) each.#freeMemory();
    executeAll(
      'ResourceApplyMomentum',
      [this.#handle, velocity.#handle, learningRate, gradient, momentum],
      [
        attribute.type('T', 'float32'),
        attribute.bool('use_locking', false),
        attribute.bool('use_nesterov', false),
      ],
      0,
    );
  }

  /**
   * Adam as in PyTorch, without weight decay; this and both moments in place. TensorFlow would correct for the first
   * updates in float32, where 1 - 0.999^t is imprecise, so the rate is given corrected. It adds epsilon to the root
   * of the uncorrected square, hence the factor on that.
   */
  applyAdam(
    moments: { readonly mean: Parameter; readonly square: Parameter },
    gradient: Tensor,
    { rate, betas: [beta1, beta2], epsilon, update }: AdamStep,
  ): void {
    for (const each of [this, moments.mean, moments.square]) each.#freeMemory();
    // Of the betas as the moments are made with them.
    const correction1 = 1 - Math.fround(beta1) ** update;
    const root2 = Math.sqrt(1 - Math.fround(beta2) ** update);
    const numbers = [0, 0, (rate * root2) / correction1, beta1, beta2, epsilon * root2];
    executeAll(
      'ResourceApplyAdam',
      [
        ...[this.#handle, moments.mean.#handle, moments.square.#handle],
        ...numbers.map((value) => scalar(value)),
        gradient,
      ],
      [
        attribute.type('T', 'float32'),
        attribute.bool('use_locking', false),
        attribute.bool('use_nesterov', false),
      ],
      0,
    );
  }

  dispose(): void {
    this.#freeMemory();
    destroyVariable(this.#handle);
  }

  #read(): Tensor {
    return execute('ReadVariableOp', [this.#handle], [attribute.type('dtype', 'float32')]);
  }

  /** Gives the variable the value's memory. */
  #assign(value: Tensor): Tensor {
    const wasUsed = this.#memory !== null;
    this.#freeMemory();
    executeAll(
      'AssignVariableOp',
      [this.#handle, value],
      [attribute.type('dtype', 'float32'), attribute.bool('validate_shape', false)],
      0,
    );
    this.#sharing.clear();
    if (wasUsed) this.#memory = this.#read().hold();
    return value;
  }

  /** While it is alive, TensorFlow's own updates would copy. */
  #freeMemory(): void {
    this.#memory?.free();
    this.#memory = null;
  }

  #shared(tensor: Tensor): Tensor {
    if (this.#sharing.size >= MANY) this.#prune();
    this.#sharing.add(tensor);
    inVariables.add(tensor);
    return tensor;
  }

  #prune(): void {
    for (const tensor of this.#sharing) if (tensor.disposed) this.#sharing.delete(tensor);
  }
}

/** Tensors whose memory a variable has or had. */
const inVariables = new WeakSet<Tensor>();

/** Remembered tensors that are worth looking through. */
const MANY = 8;

/** The same bits in memory of their own. */
function copied(tensor: Tensor): Tensor {
  return execute('DeepCopy', [tensor], [attribute.type('T', tensor.dtype)]);
}
