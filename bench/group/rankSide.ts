/** A process that trains on its share of a batch, alone or as a rank, on input that is in memory. */
import { StudentWork } from '../../services/cli/bench/studentWork.js';
import type { Workload } from '../../services/cli/bench/workload.js';
import type { Collective } from '../../src/collectives/collective.js';
import { serverVariable, SERVER_VARIABLE } from '../../src/collectives/serverDef.js';
import { singleProcess } from '../../src/collectives/single.js';
import { TensorflowCollective } from '../../src/collectives/tensorflowCollective.js';
import { engineInfo, scope, zeros } from '../../src/tensor/index.js';
import { answerRequests, sendLine } from '../support/linesOfInput.js';
import type { RankRound } from './results.js';

/** The program's argument. */
export interface RankTask {
  readonly workload: Workload;
  /** null: alone. */
  readonly place: { readonly rank: number; readonly addresses: readonly string[] } | null;
}

export interface RankReady {
  readonly parameters: number;
  readonly tensorflow: string;
}

export type RankRequest =
  | { readonly do: 'steps'; readonly count: number; readonly overlap: boolean }
  | { readonly do: 'small'; readonly count: number };

export interface StepsAnswer extends RankRound {
  /** Of all the steps. */
  readonly bytes: number;
  readonly calls: number;
}

export interface SmallAnswer {
  readonly ms: readonly number[];
}

const LIMITS = { timeoutMs: 30_000, startTimeoutMs: 120_000, lateMs: 600_000 };

const { workload, place } = JSON.parse(process.argv[2]!) as RankTask;
const group = join();
const work = new StudentWork(workload, group);
sendLine(ready());
await answerRequests((request: RankRequest) =>
  request.do === 'steps' ? steps(request.count, request.overlap) : small(request.count),
);

function join(): Collective {
  if (place === null) return singleProcess;
  const { rank, addresses } = place;
  process.env[SERVER_VARIABLE] = serverVariable(addresses, rank);
  return TensorflowCollective.join({ rank, addresses, ...LIMITS });
}

function ready(): RankReady {
  const { network, projectionHead } = work.trainer.parts;
  const trained = [...network.parameters(), ...(projectionHead?.parameters() ?? [])];
  const parameters = trained.reduce((sum, { size }) => sum + size, 0);
  return { parameters, tensorflow: engineInfo().tensorflow };
}

function steps(count: number, overlap: boolean): StepsAnswer {
  const [ms, collectiveMs]: [number[], number[]] = [[], []];
  const gradients: RankRound['gradients'][number][] = [];
  let [bytes, calls] = [0, 0];
  // Both ranks begin their first step at once.
  group.barrier();
  group.takeUse();
  for (let step = 0; step < count; step++) {
    const begin = performance.now();
    work.step(overlap);
    ms.push(performance.now() - begin);
    const used = group.takeUse();
    collectiveMs.push(used.seconds * 1000);
    const { seconds, waitedSeconds } = used.background;
    gradients.push({ tookMs: seconds * 1000, waitedMs: waitedSeconds * 1000 });
    for (const sent of Object.values(used.bytes)) bytes += sent;
    calls += used.calls;
  }
  return { ms, collectiveMs, gradients, bytes, calls };
}

function small(count: number): SmallAnswer {
  const ms = Array.from({ length: count }, () =>
    scope(() => {
      const one = zeros([1]);
      const begin = performance.now();
      group.allGather(one);
      return performance.now() - begin;
    }),
  );
  return { ms };
}
