/**
 * Reverse-mode differentiation over raw ops.
 *
 * tfjs' own tape has no gradient for dilated convolutions and keeps every intermediate tensor
 * until the end. Here each node names the tensors that its backward function needs. Only these are
 * held; all others are freed with their scope, and the backward pass frees each node's tensors as
 * soon as it has used them. On a tape that recomputes, cheap values aren't held either: they are computed again when the
 * backward pass comes to them.
 */
import { add } from './ops/elementwise.js';
import type { Parameter } from './parameter.js';
import { scope, type Tensor } from './tensor.js';
import { drop, keep, type Recomputation, Var } from './var.js';

export { type Recomputation, Var };

/**
 * Takes the gradient of the loss with respect to the node's value and returns those with respect to
 * its inputs, in order; null for an input that needs none. Runs in its own scope. The output's value may be used if OUTPUT
 * was saved.
 */
export type BackwardFunction = (dy: Tensor, output: Var) => readonly (Tensor | null)[];

/** Among the saved values: the one that is recorded. */
export const OUTPUT = Symbol('output');

export type Saved = Tensor | Var | typeof OUTPUT;

interface Node {
  readonly inputs: readonly Var[];
  readonly saved: readonly (Tensor | Var)[];
  readonly backward: BackwardFunction;
  readonly output: Var;
}

/**
 * Is called with a parameter's gradient as soon as no node can add to it any more; null: it has none. The tape frees the
 * tensor afterwards unless it is held.
 */
export type FinalGradient = (parameter: Parameter, gradient: Tensor | null) => void;

export interface Gradients {
  /** The gradients of all parameters that the loss depends on. */
  readonly parameters: Map<Parameter, Tensor>;
  /** The gradients of the leaves made by Tape.leaf(). */
  readonly leaves: Map<Var, Tensor>;
}

/**
 * Records one forward pass. Afterwards call backward() for the gradients, or dispose() without: until
 * then a recording tape holds tensors, which leak if neither is called. Both leave the tape empty.
 */
export class Tape {
  readonly recording: boolean;
  /** Whether values that are cheap to compute again are not kept for the backward pass. The results are the same bits. */
  readonly recomputes: boolean;
  #nodes: Node[] = [];
  readonly #parameters = new Map<Parameter, Var>();
  readonly #leaves = new Set<Var>();
  #borrowed: Tensor[] = [];

  /** @param recording false: only values are computed, for inference */
  constructor(recording: boolean, { recompute = false }: { readonly recompute?: boolean } = {}) {
    this.recording = recording;
    this.recomputes = recording && recompute;
  }

  /** A value that needs no gradient. The caller keeps it: the tape frees only its own tensors. */
  constant(value: Tensor): Var {
    return new Var(this.#borrow(value), false);
  }

  /** An input whose gradient is requested. */
  leaf(value: Tensor): Var {
    const leaf = new Var(this.#borrow(value), this.recording);
    if (this.recording) this.#leaves.add(leaf);
    return leaf;
  }

  /** The current values of a parameter, read once per tape. */
  parameter(parameter: Parameter): Var {
    const known = this.#parameters.get(parameter);
    if (known !== undefined) return known;
    const read = new Var(parameter.read().hold(), this.recording);
    this.#parameters.set(parameter, read);
    return read;
  }

  /** Whether parameter() was called with it. */
  hasRead(parameter: Parameter): boolean {
    return this.#parameters.has(parameter);
  }

  /**
   * Adds a computed value. `saved` is what `backward` uses: tensors are held until it has run or the tape is disposed,
   * values of Vars are held or computed again.
   *
   * @param again how the value is computed again, if that is cheap; without effect on a tape that doesn't recompute
   */
  record(
    value: Tensor,
    inputs: readonly Var[],
    saved: readonly Saved[],
    backward: BackwardFunction,
    again?: Recomputation,
  ): Var {
    const needsGradient = this.recording && inputs.some((input) => input.needsGradient);
    if (!needsGradient) return new Var(value, false);
    const output = new Var(value, true, this.recomputes ? (again ?? null) : null);
    const kept = saved.map((each) => (each === OUTPUT ? output : each));
    for (const each of kept) keep(each);
    this.#nodes.push({ inputs, saved: kept, backward, output });
    return output;
  }

  /**
   * Propagates the given gradients of the loss back to parameters and leaves. Takes ownership of the
   * seed tensors, frees the saved ones and leaves the tape empty, even if a backward function throws.
   * The result belongs to the caller's scope.
   * @param onFinal gets the parameters' gradients, which are then not in the result
   */
  backward(seeds: readonly (readonly [Var, Tensor])[], onFinal?: FinalGradient): Gradients {
    /** Gradients of values that propagation hasn't reached yet, each held. */
    const gradients = new Map<Var, Tensor>();
    try {
      return scope(() => {
        for (const [output, seed] of seeds) accumulate(gradients, output, seed);
        const final = onFinal === undefined ? null : this.#finalAt(gradients, onFinal);
        this.#propagate(gradients, final ?? (() => {}));
        return this.#collect(gradients);
      });
    } catch (error) {
      for (const gradient of gradients.values()) gradient.free();
      throw error;
    } finally {
      this.dispose();
    }
  }

  /** Walks from the last node to the first. A node that throws is kept, so that dispose() frees it. */
  #propagate(gradients: Map<Var, Tensor>, done: (node: number) => void): void {
    for (let node = this.#nodes.at(-1); node !== undefined; node = this.#nodes.at(-1)) {
      const { inputs, backward, output, saved } = node;
      const dy = gradients.get(output);
      if (dy !== undefined) {
        const parts = scope(() => {
          for (const each of saved) if (each instanceof Var) each.restore();
          return backward(dy, output);
        });
        for (const [index, part] of parts.entries()) {
          const input = inputs[index]!;
          if (part !== null && input.needsGradient) accumulate(gradients, input, part);
        }
        gradients.delete(output);
        dy.free();
        for (const part of parts) part?.dispose();
      }
      this.#nodes.pop();
      for (const each of saved) drop(each);
      output.forget();
      done(this.#nodes.length);
    }
  }

  /**
   * Tells at once of parameters that no node has as its input. Returns what is to be called with a node's index after it:
   * it tells of those for which this node was the first.
   */
  #finalAt(gradients: Map<Var, Tensor>, onFinal: FinalGradient): (node: number) => void {
    const firstNode = new Map<Var, number>();
    for (const [index, { inputs }] of this.#nodes.entries()) {
      for (const input of inputs) if (!firstNode.has(input)) firstNode.set(input, index);
    }
    const byNode = new Map<number | undefined, (readonly [Parameter, Var])[]>();
    for (const entry of this.#parameters) {
      const node = firstNode.get(entry[1]);
      byNode.set(node, [...(byNode.get(node) ?? []), entry]);
    }
    const tell = (node: number | undefined) => {
      for (const [parameter, read] of byNode.get(node) ?? []) {
        const gradient = gradients.get(read);
        gradients.delete(read);
        try {
          scope(() => onFinal(parameter, gradient ?? null));
        } finally {
          gradient?.free();
        }
      }
    };
    tell(undefined);
    return tell;
  }

  /** Frees all held tensors; for a forward pass without a backward pass. */
  dispose(): void {
    for (const { saved, output } of this.#nodes.reverse()) {
      for (const each of saved) drop(each);
      output.forget();
    }
    this.#nodes = [];
    for (const read of this.#parameters.values()) read.value.free();
    this.#parameters.clear();
    this.#leaves.clear();
    for (const tensor of this.#borrowed) tensor.release();
    this.#borrowed = [];
  }

  /** Holds an input, so that its owner's tensor survives when the nodes' saved tensors are freed. */
  #borrow(value: Tensor): Tensor {
    if (this.recording) this.#borrowed.push(value.hold());
    return value;
  }

  #collect(gradients: Map<Var, Tensor>): Gradients {
    const parameters = new Map<Parameter, Tensor>();
    const leaves = new Map<Var, Tensor>();
    for (const [parameter, read] of this.#parameters) {
      const gradient = gradients.get(read);
      if (gradient !== undefined) parameters.set(parameter, gradient);
    }
    for (const leaf of this.#leaves) {
      const gradient = gradients.get(leaf);
      if (gradient !== undefined) leaves.set(leaf, gradient);
    }
    for (const gradient of gradients.values()) gradient.release();
    return { parameters, leaves };
  }
}

/** Runs `work` in a scope of its own, with a recording tape that ends with it. */
export function onTape<Result>(work: (tape: Tape) => Result): Result {
  const tape = new Tape(true);
  try {
    return scope(() => work(tape));
  } finally {
    tape.dispose();
  }
}

function accumulate(gradients: Map<Var, Tensor>, input: Var, part: Tensor): void {
  const known = gradients.get(input);
  if (known === undefined) {
    gradients.set(input, part.hold());
    return;
  }
  gradients.set(input, add(known, part).hold());
  known.free();
}
