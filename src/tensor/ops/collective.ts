/**
 * TensorFlow's collective ops: each of a group's processes runs the same op, and all get the same result.
 * They block the calling thread until every process has run theirs.
 */
import { device } from '../binding.js';
import { int32, readInt32 } from '../create.js';
import { attribute, execute, executeAll } from '../execute.js';
import { scope, type Tensor } from '../tensor.js';

export interface CollectiveCall {
  /** Processes in the group. */
  readonly size: number;
  /** Tells apart the collectives of a group; may be used again for the same op, dtype and shape. */
  readonly instanceKey: number;
}

/** All of a process's collectives are in one group. */
export const GROUP_KEY = 1;

const keys = ({ size, instanceKey }: CollectiveCall) =>
  [size, GROUP_KEY, instanceKey].map((value) => int32([value], []));

/** On the CPU the hint chooses nothing: there is only the ring. */
const common = (x: Pick<Tensor, 'dtype'>) => [
  attribute.type('T', x.dtype),
  attribute.string('communication_hint', 'auto'),
  // limitCollectives() instead: this one costs a thread until the time is over.
  attribute.float('timeout_seconds', 0),
];

/** The elementwise sum or mean over the processes. */
export function collectiveReduce(x: Tensor, over: 'sum' | 'mean', call: CollectiveCall): Tensor {
  return scope(() =>
    execute(
      'CollectiveReduceV2',
      [x, ...keys(call)],
      [
        ...common(x),
        attribute.string('merge_op', 'Add'),
        attribute.string('final_op', over === 'mean' ? 'Div' : 'Id'),
        attribute.int('Nordering_token', 0),
      ],
    ),
  );
}

/** The processes' tensors along the first axis, in the text order of their device names. */
export function collectiveGather(x: Tensor, call: CollectiveCall): Tensor {
  return scope(() =>
    execute(
      'CollectiveGatherV2',
      [x, ...keys(call)],
      [...common(x), attribute.int('Nordering_token', 0)],
    ),
  );
}

/** Whether collectiveExchange() is possible: NCCL has none, as far as TensorFlow knows. */
export function canExchange(): boolean {
  return device() === 'cpu';
}

/**
 * Row i of the result is what process i (in the text order of their device names) has in this process's row. All
 * messages are under way at once, whereas a ring of R processes passes them on R - 1 times.
 */
export function collectiveExchange(x: Tensor, call: CollectiveCall): Tensor {
  return scope(() =>
    execute(
      'CollectiveAllToAllV2',
      [x, ...keys(call)],
      [...common(x), attribute.int('Nordering_token', 0)],
    ),
  );
}

export function collectiveSend(x: Tensor, call: CollectiveCall): void {
  scope(() => execute('CollectiveBcastSendV2', [x, ...keys(call)], common(x)));
}

/** What another process of the group sends with collectiveSend(). */
export function collectiveReceive(
  shape: readonly number[],
  dtype: 'int32',
  call: CollectiveCall,
): Tensor {
  return scope(() =>
    execute(
      'CollectiveBcastRecvV2',
      [...keys(call), int32(shape, [shape.length])],
      [...common({ dtype }), attribute.type('Tshape', 'int32')],
    ),
  );
}

/** A process of the group that doesn't answer. */
export interface LostPeer {
  readonly rank: number;
  readonly reason: string;
}

export interface PeerCheck {
  /** watch: ask the others again and again, in the background; now: ask each once, and wait. */
  readonly when: 'watch' | 'now' | 'stop';
  readonly rank: number;
  readonly size: number;
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

const COMMANDS = { stop: 0, watch: 1, now: 2, limit: 3 } as const;

/** Time after which a later collective fails if a process hasn't run its own; 0: never. To about 0.1 s. */
export function limitCollectives(ms: number): void {
  scope(() => {
    executeAll('CirkdPeers', [int32([COMMANDS.limit, 0, 0, 0, ms], [5])], [], 2);
  });
}

/**
 * Asks the other processes whether they are there (../native/collectives.cc); returns those that were lost
 * so far. A lost one aborts the pending collective, and every later one fails.
 */
export function checkPeers({ when, rank, size, intervalMs, timeoutMs }: PeerCheck): LostPeer[] {
  return scope(() => {
    const numbers = int32([COMMANDS[when], rank, size, intervalMs, timeoutMs], [5]);
    const [ranks, text] = executeAll('CirkdPeers', [numbers], [], 2) as [Tensor, Tensor];
    const reasons = Buffer.from(readInt32(text)).toString().split('\n');
    return [...readInt32(ranks)].map((lost, i) => ({ rank: lost, reason: reasons[i]! }));
  });
}
