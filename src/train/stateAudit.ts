/**
 * Whether the ranks of a group still have the same weights. Each computes its updates for itself, from gradients that are
 * equal on all; a bit that changes in one rank's memory, or another rounding on another kind of processor, would stay
 * unnoticed. So before each update the ranks compare a hash of a slice of their state, in turn.
 */
import { createHash } from 'node:crypto';
import { bucketsOf } from '../collectives/buckets.js';
import type { ModelState } from '../models/modelState.js';
import { ops, type Parameter, readFloat32, scope } from '../tensor/index.js';
import type { Optimizer } from './optimizer.js';

/** Hashing it takes about 1 ms. */
const SLICE_BYTES = 2 ** 20;
const FLOAT_BYTES = 4;
/** What a float64 holds exactly. */
const HASH_BYTES = 6;

/** Consecutive numbers of a parameter. */
interface Piece {
  readonly parameter: Parameter;
  readonly at: number;
  readonly size: number;
}

export class StateAudit {
  readonly #slices: readonly (readonly Piece[])[];

  /** @param state all that an update changes; in the same order on all ranks */
  constructor(state: readonly Parameter[], sliceBytes = SLICE_BYTES) {
    const most = Math.max(1, Math.floor(sliceBytes / FLOAT_BYTES));
    const pieces = state.flatMap((parameter) => {
      const count = Math.ceil(parameter.size / most);
      return Array.from({ length: count }, (_, i): Piece => {
        const at = i * most;
        return { parameter, at, size: Math.min(most, parameter.size - at) };
      });
    });
    this.#slices = bucketsOf(pieces, sliceBytes);
  }

  /** Steps after which all has been compared. */
  get rounds(): number {
    return this.#slices.length;
  }

  /** A non-negative integer: a hash of the slice of this step. */
  fingerprint(step: number): number {
    const sum = createHash('sha256');
    for (const piece of this.#sliceOf(step)) {
      const values = scope(() => readFloat32(valuesOf(piece)));
      sum.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    }
    return sum.digest().readUIntBE(0, HASH_BYTES);
  }

  /** Throws Error naming the ranks that differ from most; or from rank 0, where no value is in most. */
  requireSame(step: number, ofRanks: readonly number[]): void {
    const count = (value: number) => ofRanks.filter((each) => each === value).length;
    const common = ofRanks.find((value) => 2 * count(value) > ofRanks.length) ?? ofRanks[0]!;
    const others = [...ofRanks.keys()].filter((rank) => ofRanks[rank] !== common);
    if (others.length === 0) return;
    const ranks = others.length === 1 ? `rank ${others[0]}` : `ranks ${others.join(', ')}`;
    const isMajority = 2 * count(common) > ofRanks.length;
    const than = isMajority ? 'most ranks' : 'rank 0';
    const names = this.#sliceOf(step).map(({ parameter: { name } }) => name);
    const where = names.length === 1 ? names[0] : `${names[0]} to ${names.at(-1)}`;
    throw new Error(
      `step ${step}: ${ranks} had another state than ${than} before this step (${where}): ` +
        'faulty memory, or processors of different kinds',
    );
  }

  #sliceOf(step: number): readonly Piece[] {
    return this.#slices[step % this.#slices.length] ?? [];
  }
}

interface HasState {
  readonly state: Pick<ModelState, 'entries'>;
}

/** Of the student's parts, and of its adversary, if it has one. */
export function auditOf(
  parts: readonly HasState[],
  optimizer: Optimizer,
  adversary: { readonly model: HasState; readonly optimizer: Optimizer } | null,
): StateAudit {
  const ofAdversary = adversary === null ? [] : stateOf([adversary.model], adversary.optimizer);
  return new StateAudit([...stateOf(parts, optimizer), ...ofAdversary]);
}

/** What an update changes of these parts, on the device: weights, running statistics, the optimizer's state. */
export function stateOf(parts: readonly HasState[], optimizer: Optimizer): Parameter[] {
  const ofParts = parts.flatMap(({ state }) =>
    state.entries.flatMap((entry) => (entry.kind === 'counter' ? [] : [entry.parameter])),
  );
  const ofOptimizer = [...optimizer.slots().values()].flatMap((slots) => [...slots.values()]);
  return [...ofParts, ...ofOptimizer];
}

function valuesOf({ parameter, at, size }: Piece) {
  const all = parameter.read();
  return size === parameter.size ? all : ops.rows(ops.reshape(all, [parameter.size]), at, size);
}
