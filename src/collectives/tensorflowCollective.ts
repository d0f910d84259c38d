/**
 * A group over TensorFlow's collective runtime. Its server was started with the context (serverDef.ts), so
 * the group's addresses are fixed by then.
 */
import { int32, ops, readInt32, scope, type Tensor, zeros } from '../tensor/index.js';
import { asOne, bucketsOf, packed, unpacked } from './buckets.js';
import { keyOf } from './instanceKeys.js';
import { lostText } from './lostText.js';
import { asWords, bytesAt, lengthFrom, lengthWords, WORD_BYTES, wordsFor } from './words.js';
import {
  type Collective,
  type CollectiveKind,
  type CollectiveUse,
  NO_USE,
  RankLostError,
  type StartedReduce,
  sumOf,
} from './collective.js';

export interface GroupOptions {
  readonly rank: number;
  /** host:port of every rank, in order; at least two. */
  readonly addresses: readonly string[];
  /** Time without an answer after which a rank counts as lost. */
  readonly timeoutMs: number;
  /** Time for all ranks to start. */
  readonly startTimeoutMs: number;
  /** Time by which a rank that answers may come later to a collective than the first one. */
  readonly lateMs: number;
  /** Bytes that a broadcast sends at once, a power of two; default: 4 MiB. */
  readonly pieceBytes?: number;
}
/** What is gathered is sent to all others at once up to this size, which costs memory for each; beyond it in a ring. */
const AT_ONCE_BYTES = 2 ** 16;
/** Instance keys of reductions in the background begin here. */
const BACKGROUND_KEYS = 2 ** 20;

export class TensorflowCollective implements Collective {
  readonly rank: number;
  readonly size: number;
  readonly #options: GroupOptions;
  /** By op, dtype and shape. */
  readonly #instanceKeys = new Map<string, number>();
  /** Numbered apart, since ranks may start reductions earlier or later between other calls. */
  readonly #backgroundKeys = new Map<string, number>();
  /** Of all groups of this process. */
  static #tickets = 0;
  /** Row i of a gathered tensor is rank #order[i]'s. */
  readonly #order: readonly number[];
  #newsDescriptor = -1;
  #limitMs = 0;
  #use: CollectiveUse = NO_USE;
  #failure: RankLostError | null = null;

  /** Waits for all ranks. Throws RankLostError if they aren't there in time. */
  static join(options: GroupOptions): TensorflowCollective {
    const group = new TensorflowCollective(options);
    group.barrier();
    group.#limit(options.lateMs);
    group.#attend();
    return group;
  }

  private constructor(options: GroupOptions) {
    this.#options = options;
    this.rank = options.rank;
    this.size = options.addresses.length;
    this.#limit(options.startTimeoutMs);
    // TensorFlow sorts device names as text: 0, 1, 10, 2, …
    this.#order = options.addresses
      .map((_, rank) => rank)
      .sort((a, b) => (`${a}` < `${b}` ? -1 : 1));
  }

  /** See ops.beginAttendance(). */
  get newsDescriptor(): number {
    return this.#newsDescriptor;
  }

  allReduce(tensors: readonly Tensor[], over: 'sum' | 'mean'): Tensor[] {
    return bucketsOf(tensors).flatMap((bucket) =>
      asOne(bucket, (packed) =>
        this.#run('all_reduce', packed, (call) => ops.collectiveReduce(packed, over, call), over),
      ),
    );
  }

  startAllReduce(bucket: readonly Tensor[], over: 'sum' | 'mean'): StartedReduce {
    if (!ops.canReduceInBackground()) return this.#laterAllReduce(bucket, over);
    if (this.#failure !== null) throw this.#failure;
    const name = `all-reduce ${over}`;
    const shapes = bucket.map(({ shape }) => shape);
    const ticket = ++TensorflowCollective.#tickets;
    scope(() => {
      const vector = packed(bucket);
      const key = keyOf(this.#backgroundKeys, `${name} [${vector.shape}]`);
      const call = { size: this.size, instanceKey: BACKGROUND_KEYS + key };
      ops.startReduce(vector, over, call, ticket);
      this.#count('all_reduce', vector.size * WORD_BYTES);
    });
    return {
      end: () =>
        scope(() => {
          const begin = performance.now();
          const { reduced, seconds } = this.#guarded(name, () => ops.endReduce(ticket));
          const waitedSeconds = (performance.now() - begin) / 1000;
          this.#use = sumOf(this.#use, { ...NO_USE, background: { seconds, waitedSeconds } });
          return unpacked(reduced, shapes);
        }),
      abandon: () => ops.forgetReduce(ticket),
    };
  }

  allGather(x: Tensor): Tensor {
    return scope(() => {
      const rows = x.shape[0]!;
      const gathered = this.#gathered(x);
      if (this.#order.every((rank, i) => rank === i)) return gathered;
      const parts = this.#order.map((_, rank) =>
        ops.rows(gathered, this.#order.indexOf(rank) * rows, rows),
      );
      return ops.concat(parts, 0);
    });
  }

  allGatherBytes(bytes: Uint8Array, size: 'any' | 'equal' = 'any'): Uint8Array[] {
    if (size === 'equal') return this.#gatherEqualBytes(bytes);
    return scope(() => {
      const lengths = readInt32(this.allGather(int32([bytes.length], [1])));
      const longest = wordsFor(Math.max(...lengths));
      if (longest === 0) return [...lengths].map(() => new Uint8Array());
      // There are few powers of two, thus few shapes and instance keys.
      const words = 2 ** Math.ceil(Math.log2(longest));
      const all = readInt32(this.allGather(int32(asWords(bytes, words), [words])));
      return [...lengths].map((length, rank) => bytesAt(all, rank * words, length));
    });
  }

  broadcast(bytes: Uint8Array): Uint8Array {
    const given = lengthWords(this.rank === 0 ? bytes.length : 0);
    // Rank 0's length comes first.
    const told = scope(() => readInt32(this.allGather(int32(given, [given.length]))));
    const all = this.rank === 0 ? bytes : new Uint8Array(lengthFrom(told));
    this.broadcastInto(all);
    return all;
  }

  broadcastInto(bytes: Uint8Array): void {
    const { pieceBytes = 2 ** 22 } = this.#options;
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      this.#broadcastPiece(bytes.subarray(at, at + pieceBytes));
    }
  }

  barrier(): void {
    scope(() => {
      this.allReduce([zeros([1])], 'sum');
    });
  }

  takeUse(): CollectiveUse {
    const use = this.#use;
    this.#use = NO_USE;
    return use;
  }

  close(): void {
    if (this.#failure === null) {
      try {
        // A rank that ends first would look dead to those that are still in a collective.
        this.barrier();
      } catch (error) {
        if (!(error instanceof RankLostError)) throw error;
      }
    }
    ops.endAttendance(this.#failure === null);
    this.#peers('stop');
  }

  #gatherEqualBytes(bytes: Uint8Array): Uint8Array[] {
    return scope(() => {
      const words = wordsFor(bytes.length);
      const all = readInt32(this.allGather(int32(asWords(bytes, words), [words])));
      return this.#order.map((_, rank) => bytesAt(all, rank * words, bytes.length));
    });
  }

  /** The ranks' tensors along the first axis, in the text order of the ranks. */
  #gathered(x: Tensor): Tensor {
    // Between two ranks a ring takes one turn, too.
    if (this.size === 2 || !ops.canExchange() || x.size * WORD_BYTES > AT_ONCE_BYTES) {
      return this.#run('all_gather', x, (call) => ops.collectiveGather(x, call));
    }
    return scope(() => {
      const row = ops.reshape(x, [1, x.size]);
      const rows = ops.concat(Array<Tensor>(this.size).fill(row), 0);
      const all = this.#run(
        'all_gather',
        x,
        (call) => ops.collectiveExchange(rows, call),
        'at once',
      );
      return ops.reshape(all, [this.size * x.shape[0]!, ...x.shape.slice(1)]);
    });
  }

  #laterAllReduce(bucket: readonly Tensor[], over: 'sum' | 'mean'): StartedReduce {
    const shapes = bucket.map(({ shape }) => shape);
    const vector = packed(bucket).hold();
    return {
      end: () =>
        scope(() => {
          const [reduced] = this.allReduce([vector], over);
          vector.free();
          return unpacked(reduced!, shapes);
        }),
      abandon: () => vector.free(),
    };
  }

  #broadcastPiece(bytes: Uint8Array): void {
    // There are few powers of two, thus few shapes and instance keys.
    const words = 2 ** Math.ceil(Math.log2(wordsFor(bytes.length)));
    scope(() => {
      const piece = int32(asWords(this.rank === 0 ? bytes : new Uint8Array(), words), [words]);
      const received = this.#run('broadcast', piece, (call) =>
        this.rank === 0
          ? ops.collectiveSend(piece, call)
          : ops.collectiveReceive([words], 'int32', call),
      );
      if (received) bytes.set(bytesAt(readInt32(received), 0, bytes.length));
    });
  }

  #run<T>(
    kind: CollectiveKind,
    x: Tensor,
    op: (call: ops.CollectiveCall) => T,
    how: 'sum' | 'mean' | 'at once' | '' = '',
  ): T {
    const name = `${kind.replace('_', '-')} ${how}`.trimEnd();
    const instanceKey = keyOf(this.#instanceKeys, `${name} ${x.dtype} [${x.shape}]`);
    this.#count(kind, x.size * WORD_BYTES);
    return this.#guarded(name, () => op({ size: this.size, instanceKey }));
  }

  /** Runs what waits for other ranks. */
  #guarded<T>(name: string, op: () => T): T {
    if (this.#failure !== null) throw this.#failure;
    const begin = performance.now();
    try {
      return op();
    } catch (error) {
      this.#failure = this.#lost(name, error as Error);
      throw this.#failure;
    } finally {
      const seconds = (performance.now() - begin) / 1000;
      this.#use = sumOf(this.#use, { ...NO_USE, seconds });
    }
  }

  #count(kind: CollectiveKind, bytes: number): void {
    const use = { ...NO_USE, calls: 1, bytes: { ...NO_USE.bytes, [kind]: bytes } };
    this.#use = sumOf(this.#use, use);
  }

  /** An error of TensorFlow doesn't always name the rank, so the others are asked. */
  #lost(name: string, error: Error): RankLostError {
    const lost = this.#peers('now');
    const from = `rank ${this.rank} of ${this.size}: ${name}`;
    if (lost.length > 0) {
      const ranks = lost.map((peer) => lostText(peer, this.#options.addresses));
      return new RankLostError(`${from}: lost ${ranks.join('; ')}`);
    }
    const isLate = /DEADLINE_EXCEEDED|Deadline|timed? ?out/i.test(error.message);
    const what = isLate ? `a rank is late by more than ${this.#limitMs / 1000} s` : error.message;
    return new RankLostError(`${from}: ${what}`);
  }

  /** Of later collectives, from the first rank's call on. */
  #limit(ms: number): void {
    this.#limitMs = ms;
    ops.limitCollectives(ms);
  }

  #attend(): void {
    const intervalMs = Math.ceil(this.#options.timeoutMs / 4);
    this.#newsDescriptor = ops.beginAttendance({ rank: this.rank, size: this.size, intervalMs });
    this.#peers('watch');
  }

  #peers(when: ops.PeerCheck['when']): ops.LostPeer[] {
    const { rank, size } = this;
    const { timeoutMs } = this.#options;
    // Together: the longest time from a peer's end to the error.
    const intervalMs = Math.ceil(timeoutMs / 4);
    return ops.checkPeers({ when, rank, size, intervalMs, timeoutMs: timeoutMs - intervalMs });
  }
}
