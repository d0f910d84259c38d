/**
 * What it costs that teachers are elsewhere: a student with its teacher in one process beside two, the
 * waiting with ample teachers, the rate of fleets of 1 to 16.
 *
 *     node --import tsx bench/fleet/main.ts --out docs/performance.md
 *
 * `--quick` shows in a minute that all of it runs. The results are kept in runs/fleet/results.json;
 * `--render FILE` writes the document from such a file.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { keepResults, readOrMeasure, say } from '../support/benchResults.js';
import { endOnSignals } from '../support/endOnSignals.js';
import { machine } from '../support/machine.js';
import { writeMarkedSection } from '../support/markedSection.js';
import { type Amount, measureFleet, measureRemote } from './measure.js';
import type { FleetResults } from './results.js';
import { section } from './table.js';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    results: { type: 'string', default: 'runs/fleet/results.json' },
    render: { type: 'string' },
    out: { type: 'string' },
  },
});

/** Answers of 64x128 positions. */
const SIZE = { height: 512, width: 1024, classes: 19, channels: 512, latencyMs: 400 };
const TRAINED = { height: 128, width: 256 };

const QUICK: Amount = {
  ...{ trainRounds: 1, trainSteps: 2, waitingRounds: 1, waitingSteps: 5 },
  ...{ scalingRounds: 1, imagesEach: 2 },
};
const WHOLE: Amount = {
  ...{ trainRounds: 12, trainSteps: 16, waitingRounds: 3, waitingSteps: 100 },
  ...{ scalingRounds: 3, imagesEach: 20 },
};

endOnSignals();

const results = await readOrMeasure(values.render, measureAll);
if (values.out !== undefined) await writeMarkedSection(values.out, 'fleet', section(results));
process.stdout.write(`${section(results)}\n`);

async function measureAll(): Promise<FleetResults> {
  const started = new Date();
  const amount = values.quick ? QUICK : WHOLE;
  const remote = await measureRemote(amount, TRAINED, say);
  const fleet = await measureFleet(amount, SIZE, values.quick ? [1, 2] : [1, 2, 4, 8, 16], say);
  const results: FleetResults = {
    date: started.toISOString(),
    minutes: (Date.now() - started.getTime()) / 60_000,
    machine: machine(),
    threads: availableParallelism(),
    engines: { cirkd: 'TensorFlow on the CPU' },
    size: SIZE,
    remote,
    ...fleet,
  };
  await keepResults(values.results, results);
  return results;
}
