/** distributed: the processes that train one student together. */
import { z } from 'zod';
import type { CrossFault } from '../fields.js';
import { count, field, positiveCount, section } from '../fields.js';
import type { StudentConfig } from './studentSections.js';

const MOST_MS = 2_147_483_647;

export const distributedSection = section(
  'The processes (ranks) that train one student together (docs/distributed.md).',
  {
    workers: field(
      z
        .array(z.string().regex(/^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([1-9]\d{0,4})$/))
        .default([]),
      "Every rank's host:port, in order; the same list in all of them. Empty: a single process. TF_CONFIG sets it, too, and so does `cirkd student --workers N`.",
      { wanted: 'a list of host:port' },
    ),
    index: field(
      count().nullable().default(null),
      "This process's rank: its position in workers, from 0. Rank 0 has the run's folder.",
    ),
    perMachine: field(
      positiveCount().default(1),
      'Ranks that share the cores of this machine; train.threads: 0 and data.workers: 0 follow it.',
    ),
    norms: field(
      z.enum(['synchronised', 'rank']).default('synchronised'),
      "synchronised: batch norms use the statistics of all ranks' crops, as the official code; rank: of the rank's own.",
      { fixed: true },
    ),
    labelledMean: field(
      z.enum(['rank', 'batch']).default('rank'),
      "Means over labelled pixels (task, memory terms). rank: of each rank's, then over the ranks, as the official code; batch: of all ranks' at once.",
      { fixed: true },
    ),
    minibatch: field(
      z.enum(['rank', 'batch']).default('rank'),
      "Crops that the mini-batch terms compare with one another. rank: each rank's own, as the official code; batch: all of them, whose features are then gathered.",
      { fixed: true },
    ),
    timeoutMs: field(
      positiveCount().max(MOST_MS).default(10_000),
      'Time without an answer of a rank after which the others end with exit code 8.',
      { unit: 'ms' },
    ),
    startTimeoutMs: field(
      positiveCount().max(MOST_MS).default(300_000),
      'Time for all ranks to start.',
      { unit: 'ms' },
    ),
    lateMs: field(
      positiveCount().max(MOST_MS).default(3_600_000),
      'Time that a rank which still answers may keep the others waiting, for instance with an evaluation.',
      { unit: 'ms' },
    ),
  },
);

/** Faults of a group, and of what doesn't go with one. */
export function distributedFaults(config: StudentConfig): CrossFault[] {
  const { workers, index, norms } = config.distributed;
  const ranks = workers.length;
  const fault = (keys: CrossFault['keys'], message: string): CrossFault => ({ keys, message });
  if (ranks === 0) {
    if (index === null) return [];
    const message = `got ${index}, wanted null: distributed.workers is empty`;
    return [fault(['distributed.index', 'distributed.workers'], message)];
  }
  const faults: CrossFault[] = [];
  if (index === null || index >= ranks) {
    const message = `got ${index}, wanted 0 to ${ranks - 1}: distributed.workers has ${ranks}`;
    faults.push(fault(['distributed.index', 'distributed.workers'], message));
  }
  const twice = workers.find((address, i) => workers.indexOf(address) !== i);
  if (twice !== undefined) {
    faults.push(fault(['distributed.workers'], `got ${twice} twice, wanted one address per rank`));
  }
  const { batchSize } = config.train;
  const { minibatchGroup } = config.loss;
  const share = batchSize / ranks;
  if (!Number.isInteger(share)) {
    const message = `got ${batchSize}, wanted a multiple of ${ranks}, the number of ranks`;
    faults.push(fault(['train.batchSize', 'distributed.workers'], message));
  } else if (minibatchGroup > 0 && share % minibatchGroup !== 0) {
    const message = `got ${minibatchGroup}, wanted a divisor of ${share}, the crops of one rank, or 0`;
    faults.push(fault(['loss.minibatchGroup', 'distributed.workers'], message));
  } else if (share === 1 && norms === 'rank' && ranks > 1) {
    const message =
      `got ${batchSize}, wanted at least ${2 * ranks}: a rank has one crop, and with ` +
      'distributed.norms: rank a batch norm after pooling has a single value';
    faults.push(fault(['train.batchSize', 'distributed.norms'], message));
  }
  return faults;
}
