/**
 * A student whose step is a sleep: the real feed, the real client and the real loop, and in place of
 * the network a fixed time. Says of every answer whether it is the answer to its image.
 */
import { setTimeout } from 'node:timers/promises';
import type { Batch, Crop } from '../../../src/data/types.js';
import type { RemoteTeacher } from '../../../src/stream/client/remoteTeacher.js';
import { Feed } from '../../../src/train/feed.js';
import { type Compute, runLoop, type StepReport } from '../../../src/train/loop.js';
import type { MicroBatch, StepOutcome } from '../../../src/train/outcome.js';

export interface SleepingStudent {
  readonly teacher: RemoteTeacher;
  readonly stepMs: number;
  readonly batchSize: number;
  readonly prefetchSteps: number;
  readonly crop: { readonly height: number; readonly width: number };
}

/** Steps until `until` resolves, which is asked to begin after the first step. */
export async function trainUntil(
  { teacher, stepMs, batchSize, prefetchSteps, crop }: SleepingStudent,
  until: (steps: readonly StepReport[]) => Promise<void>,
): Promise<StepReport[]> {
  const reports: StepReport[] = [];
  const stop = new AbortController();
  let next = 0;
  const source = {
    async next(): Promise<Batch> {
      const step = next++;
      const crops = Array.from({ length: batchSize }, (_, k) => cropOf(step * batchSize + k, crop));
      return { step, ...crop, samples: crops.map(({ sample }) => sample), crops };
    },
  };
  const feed = new Feed(source, teacher, prefetchSteps, Number.MAX_SAFE_INTEGER);
  const ended = runLoop({
    firstStep: 0,
    steps: Number.MAX_SAFE_INTEGER,
    accumulateSteps: 1,
    feed,
    teacher,
    compute: sleeping(stepMs),
    stop: stop.signal,
    afterStep(report) {
      reports.push(report);
    },
  });
  try {
    await Promise.race([ended, until(reports)]);
  } finally {
    stop.abort();
    await ended;
    feed.close();
  }
  return reports;
}

/** The sample's name for the n-th crop of a run. */
export function sampleName(n: number): string {
  return `crop ${n}`;
}

function cropOf(n: number, { height, width }: { height: number; width: number }): Crop {
  const rgb = new Uint8Array(height * width * 3).fill(n % 256);
  const labels = new Uint8Array(height * width);
  return { sample: sampleName(n), augmentationSeed: BigInt(n), rgb, labels };
}

function sleeping(stepMs: number): Compute {
  const step = async (_: number, microBatches: readonly MicroBatch[]): Promise<StepOutcome> => {
    for (const { rgb, replies } of microBatches) {
      replies?.forEach(({ featureNorm }, k) => {
        // Simulated teachers answer so: see services/teacher/simulateEngine.ts.
        const wanted = 1 + rgb[k]![0]! / 256;
        const { data } = featureNorm!;
        const got = new DataView(data).getFloat32(0, true);
        if (got !== wanted) throw new Error(`crop ${k}: the answer to another, ${got}, ${wanted}`);
      });
    }
    await setTimeout(stepMs);
    return { kind: 'committed', terms: { total: 0 }, learningRate: 0, bankFill: {} };
  };
  return {
    step,
    retry: () => Promise.reject(new Error('a simulated answer is finite')),
  };
}
