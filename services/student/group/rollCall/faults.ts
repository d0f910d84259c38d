/** What can be wrong with a group before it begins, in words. */
import { RankLostError } from '../../../../src/collectives/collective.js';
import { RankMismatchError } from '../greeting.js';
import type { Hello } from './messages.js';

export interface Place {
  /** host:port of every rank, in order. */
  readonly workers: readonly string[];
  readonly index: number;
}

/** Whether the caller is of another group, which has or had an address of this one. */
export function isForeign({ workers }: Place, hello: Hello): boolean {
  return !hello.workers.some((address) => workers.includes(address));
}

/** Why two ranks that meet can't be of one group; null: they can. Only rank 0's list counts as the right one. */
export function faultOf(own: Place & { readonly process: string }, hello: Hello): string | null {
  const [theirs, ours] = [hello.workers, own.workers].map((list) => JSON.stringify(list));
  if (hello.process === own.process) {
    const first = `${own.workers[0]}, rank 0's, is this process's own`;
    return `${rankOf(hello)}: distributed.workers: got ${ours}, where ${first}`;
  }
  if (theirs !== ours && own.index === 0) {
    return `${rankOf(hello)}: distributed.workers: got ${theirs}, rank 0 has ${ours}`;
  }
  if (theirs !== ours) {
    return `${rankOf(own)} and ${rankOf(hello)}: distributed.workers: got ${ours} and ${theirs}`;
  }
  return hello.index === own.index ? twoProcesses(hello) : null;
}

export function twoProcesses(rank: Place): string {
  return `${rankOf(rank)}: distributed.index: got ${rank.index} in two processes, wanted it in one`;
}

export function mismatch(fault: string): RankMismatchError {
  return new RankMismatchError(`The ranks can't train together:\n  ${fault}`);
}

/** @param text names the ranks that aren't there */
export function lost({ workers, index }: Place, text: string): RankLostError {
  return new RankLostError(`rank ${index} of ${workers.length}: start: ${text}`);
}

const rankOf = ({ workers, index }: Place) => `rank ${index} (${workers[index]})`;
