/** What the ranks of a group agree on between steps. With a single process each returns what it is given. */
import { createHash } from 'node:crypto';
import type { Collective } from '../../../src/collectives/collective.js';
import type { Trainer } from '../../../src/train/trainer.js';
import type { NamedTensor } from '../../../src/wire/safetensors.js';
import type { ComputeSetup, StateFiles } from '../computeProtocol.js';
import { loadState, viewState } from '../trainerState.js';

/** By weight: what the rank with the heaviest wants, all do. */
const WISHES = ['go', 'ask_again', 'stop'] as const;

/** go: make the step; ask_again: a teacher's answer isn't finite; stop: end before this step. */
export type Wish = (typeof WISHES)[number];

export interface Agreement {
  readonly wish: Wish;
  /** What each rank gave. */
  readonly ownSeconds: readonly number[];
}

const WISH_BYTES = 1;

/**
 * All ranks call it before each step, and once more when they leave.
 * @param ownSeconds what this rank has taken since the last agreement, without waits for other ranks
 */
export function agree(group: Collective, wish: Wish, ownSeconds = 0): Agreement {
  const told = Buffer.alloc(WISH_BYTES + Float64Array.BYTES_PER_ELEMENT);
  told.writeUInt8(WISHES.indexOf(wish));
  told.writeDoubleLE(ownSeconds, WISH_BYTES);
  const all = group.allGatherBytes(told, 'equal').map((bytes) => Buffer.from(bytes));
  return {
    wish: WISHES[Math.max(...all.map((bytes) => bytes.readUInt8()))]!,
    ownSeconds: all.map((bytes) => bytes.readDoubleLE(WISH_BYTES)),
  };
}

export function gatherTexts(group: Collective, text: string): string[] {
  return group.allGatherBytes(Buffer.from(text)).map((bytes) => Buffer.from(bytes).toString());
}

/** Gives the other ranks rank 0's state, if it isn't that which all of them drew from the seed. */
export function shareState(group: Collective, trainer: Trainer, setup: ComputeSetup): void {
  if (group.size === 1) return;
  const isFromSeed = setup.state === null && setup.startWeights === null;
  if (group.broadcast(Uint8Array.of(isFromSeed ? 1 : 0))[0] === 1) return;
  const files = shareFiles(group, group.rank === 0 ? viewState(trainer, setup) : {});
  if (group.rank > 0) loadState(trainer, files);
}

/** Of a StateFile, all but the numbers. */
interface FileOutline {
  readonly metadata: Record<string, string>;
  readonly tensors: readonly (Omit<NamedTensor, 'data'> & {
    readonly name: string;
    readonly bytes: number;
  })[];
}

/**
 * Returns rank 0's files, on all ranks. Tensor by tensor, without a copy of the whole: banks have gigabytes.
 * @param own of rank 0; ignored on the others
 */
export function shareFiles(group: Collective, own: StateFiles): StateFiles {
  const told = text(group.broadcast(Buffer.from(JSON.stringify(outlines(own)))));
  const files: StateFiles = {};
  const shared = JSON.parse(told) as Record<string, FileOutline>;
  for (const [file, { metadata, tensors }] of Object.entries(shared)) {
    const received = tensors.map(({ name, bytes, ...shape }): [string, NamedTensor] => {
      const data = own[file]?.tensors.get(name)?.data ?? new Uint8Array(bytes);
      group.broadcastInto(data);
      return [name, { ...shape, data }];
    });
    files[file] = { metadata, tensors: new Map(received) };
  }
  return files;
}

function outlines(files: StateFiles): Record<string, FileOutline> {
  return Object.fromEntries(
    Object.entries(files).map(([file, { metadata, tensors }]) => {
      const told = [...tensors].map(([name, { data, ...shape }]) => ({
        ...{ name, bytes: data.length },
        ...shape,
      }));
      return [file, { metadata, tensors: told }];
    }),
  );
}

/** Node.js takes less than 2 GiB at once. */
const HASHED_BYTES = 2 ** 30;

/** Returns the sha256 of the state. Throws if it isn't the same on all ranks, which no fault of a rank explains. */
export function requireSameState(group: Collective, files: StateFiles): string {
  const sum = createHash('sha256');
  for (const [file, { tensors }] of Object.entries(files)) {
    for (const [name, { data }] of tensors) {
      sum.update(`${file} ${name}\n`);
      for (let at = 0; at < data.length; at += HASHED_BYTES) {
        sum.update(data.subarray(at, at + HASHED_BYTES));
      }
    }
  }
  const hash = sum.digest('hex');
  const other = gatherTexts(group, hash).findIndex((each) => each !== hash);
  if (other < 0) return hash;
  throw new Error(`the states of rank ${group.rank} and rank ${other} have come to differ`);
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
