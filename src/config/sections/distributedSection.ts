/** distributed: the processes that train one student together. */
import { z } from 'zod';
import { count, field, positiveCount, section } from '../fields.js';

const MOST_MS = 2_147_483_647;

export const distributedSection = section(
  'The processes (ranks) that train one student together (docs/distributed.md).',
  {
    workers: field(
      z
        .array(
          z
            .string()
            .regex(
              /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])$/,
            ),
        )
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
      'Time that a rank which still answers may keep the others waiting, for instance with a checkpoint or an image of an evaluation.',
      { unit: 'ms' },
    ),
  },
);
