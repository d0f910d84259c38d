/**
 * Handles on TensorFlow tensors, and scopes that free them.
 *
 * TensorFlow's memory isn't garbage-collected by JavaScript: it has to be freed explicitly. A tensor
 * is alive as long as it belongs to an open scope or has holds; a tensor with neither is alive until
 * its owner disposes of it.
 */
import { binding } from './binding.js';
import type { DType } from './dtype.js';

/**
 * One TensorFlow tensor. It belongs to the scope in which it is made, if there is one. It is freed
 * when its scope ends, unless the scope returns it or it is held; when its last hold is undone; or by
 * dispose(). An op on a disposed tensor throws.
 */
export class Tensor {
  readonly id: number;
  readonly shape: readonly number[];
  readonly dtype: DType;
  #holds = 0;
  #scoped = false;
  #disposed = false;

  constructor(id: number, shape: readonly number[], dtype: DType) {
    this.id = id;
    this.shape = shape;
    this.dtype = dtype;
    const current = scopes.at(-1);
    if (current !== undefined) this.enter(current);
  }

  /** Number of elements. */
  get size(): number {
    return this.shape.reduce((product, length) => product * length, 1);
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** Keeps the tensor alive beyond its scope, until release() has been called as often as hold(). */
  hold(): this {
    this.#holds += 1;
    return this;
  }

  /** Undoes one hold(); the last one frees the tensor unless a scope still owns it. */
  release(): void {
    this.#holds -= 1;
    if (this.#holds <= 0 && !this.#scoped) this.dispose();
  }

  /** Undoes one hold(); the last one frees the tensor even if a scope still owns it. */
  free(): void {
    this.release();
    this.dispose();
  }

  /** Frees the memory now, unless the tensor is held; may be called more than once. */
  dispose(): void {
    if (this.#disposed || this.#holds > 0) return;
    this.#disposed = true;
    binding().deleteTensor(this.id);
  }

  /** For scopes only. */
  enter(scope: Tensor[]): void {
    this.#scoped = true;
    scope.push(this);
  }

  /** For scopes only. */
  leave(): void {
    this.#scoped = false;
  }
}

const scopes: Tensor[][] = [];

/** Something that carries tensors out of a scope. */
export interface TensorCarrier {
  carriedTensors(): Iterable<Tensor>;
}

/**
 * Runs `fn` and frees every tensor made inside, except those that it returns (as a tensor, a carrier,
 * or an array, map or plain object of them, at any depth) and those that are held. Returned tensors
 * belong to the enclosing scope, or to the caller if there is none. On an exception all tensors
 * except held ones are freed.
 */
export function scope<T>(fn: () => T): T {
  const made: Tensor[] = [];
  scopes.push(made);
  let result: T;
  try {
    result = fn();
  } catch (error) {
    scopes.pop();
    for (const tensor of made) freeAfterScope(tensor);
    throw error;
  }
  scopes.pop();
  const kept = new Set<Tensor>();
  collect(result, kept);
  const parent = scopes.at(-1);
  for (const tensor of made) {
    if (tensor.disposed) continue;
    if (!kept.has(tensor)) freeAfterScope(tensor);
    else if (parent !== undefined) tensor.enter(parent);
    else tensor.leave();
  }
  return result;
}

function freeAfterScope(tensor: Tensor): void {
  tensor.leave();
  tensor.dispose();
}

function collect(value: unknown, into: Set<Tensor>): void {
  if (value === null || typeof value !== 'object' || ArrayBuffer.isView(value)) return;
  if (value instanceof Tensor) {
    into.add(value);
  } else if (isCarrier(value)) {
    for (const tensor of value.carriedTensors()) into.add(tensor);
  } else if (value instanceof Map) {
    for (const entry of value.values()) collect(entry, into);
  } else if (Array.isArray(value)) {
    for (const entry of value) collect(entry, into);
  } else if (Object.getPrototypeOf(value) === Object.prototype) {
    for (const entry of Object.values(value)) collect(entry, into);
  }
}

function isCarrier(value: object): value is TensorCarrier {
  return typeof (value as Partial<TensorCarrier>).carriedTensors === 'function';
}

/** Number of tensors alive in this thread's TensorFlow. */
export function numTensors(): number {
  return binding().getNumOfTensors();
}
