/** What the ranks of a group agree on between steps. With a single process each returns what it is given. */
import { createHash } from 'node:crypto';
import type { Collective } from '../../../src/collectives/collective.js';
import type { Trainer } from '../../../src/train/trainer.js';
import { formatSafetensors, parseSafetensors } from '../../../src/wire/safetensors.js';
import type { ComputeSetup, StateFiles } from '../computeProtocol.js';
import { loadState, saveState } from '../trainerState.js';

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
  const own: StateFiles = group.rank === 0 ? saveState(trainer, setup) : {};
  const names = JSON.parse(text(group.broadcast(Buffer.from(JSON.stringify(Object.keys(own))))));
  const files: StateFiles = {};
  for (const name of names as string[]) {
    const file = own[name];
    const bytes =
      file === undefined ? new Uint8Array() : formatSafetensors(file.tensors, file.metadata);
    const { tensors, metadata } = parseSafetensors(group.broadcast(bytes));
    files[name] = { tensors: new Map(tensors), metadata: { ...metadata } };
  }
  if (group.rank > 0) loadState(trainer, files);
}

/** Returns the sha256 of the state. Throws if it isn't the same on all ranks, which no fault of a rank explains. */
export function requireSameState(group: Collective, files: StateFiles): string {
  const sum = createHash('sha256');
  for (const [file, { tensors }] of Object.entries(files)) {
    for (const [name, { data }] of tensors) sum.update(`${file} ${name}\n`).update(data);
  }
  const hash = sum.digest('hex');
  const other = gatherTexts(group, hash).findIndex((each) => each !== hash);
  if (other < 0) return hash;
  throw new Error(`the states of rank ${group.rank} and rank ${other} have come to differ`);
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
