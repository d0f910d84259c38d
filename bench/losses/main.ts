/**
 * Time and memory of the relational losses beside PyTorch's and beside the matrix products alone.
 * Each measurement is a process of its own, the two sides in turns.
 *
 *     node --import tsx bench/losses/main.ts --out docs/performance.md --budget-minutes 20
 *
 * The results are kept in runs/losses/results.json; `--render FILE` writes the document from such a
 * file without measuring.
 */
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureFolder } from '../../src/run/durableFiles.js';
import { keepResults, readOrMeasure, say } from '../support/benchResults.js';
import { machine } from '../support/machine.js';
import { endOnSignals } from '../support/endOnSignals.js';
import { ensureTorch } from '../support/torchPackages.js';
import { section, writeDocument } from './document.js';
import { Forecast } from './forecast.js';
import { expectedSeconds, type Measurement, measurePoint } from './measure.js';
import { type Channels, listPoints, type Point, pointName, type Size } from './points.js';
import type { BenchResults, PointResult } from './results.js';

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '32x64,64x128,96x192,128x256' },
    batches: { type: 'string', default: '1,2,4,8' },
    channels: { type: 'string', default: '128/512,512/512' },
    'budget-minutes': { type: 'string', default: '20' },
    'memory-gib': { type: 'string', default: '16' },
    'point-seconds': { type: 'string', default: '120' },
    results: { type: 'string', default: 'runs/losses/results.json' },
    render: { type: 'string' },
    out: { type: 'string' },
  },
});

endOnSignals();

const results = await readOrMeasure(values.render, measureAll);
if (values.out !== undefined) await writeDocument(values.out, results);
process.stdout.write(`${section(results, 'plot.svg')}\n`);

async function measureAll(): Promise<BenchResults> {
  const torch = await ensureTorch(say);
  await ensureFolder(dirname(values.results));
  const started = new Date();
  const minutes = () => (Date.now() - started.getTime()) / 60_000;
  const measurement: Measurement = {
    limits: { memoryGiB: Number(values['memory-gib']), seconds: Number(values['point-seconds']) },
    threads: availableParallelism(),
    torch,
    forecast: new Forecast(),
    engines: {},
    say,
  };
  const points: PointResult[] = [];
  const soFar = (): BenchResults => ({
    date: started.toISOString(),
    machine: machine(),
    threads: measurement.threads,
    engines: measurement.engines,
    minutes: minutes(),
    points,
  });
  const budget = Number(values['budget-minutes']);
  for (const point of wantedPoints()) {
    const late = minutes() + expectedSeconds(point, measurement) / 60 > budget;
    points.push(late ? outOfTime(point, budget) : await measurePoint(point, measurement));
    await keepResults(values.results, soFar());
  }
  return soFar();
}

function wantedPoints(): Point[] {
  const pairs = (text: string, by: string) =>
    text.split(',').map((pair) => pair.split(by).map(Number) as [number, number]);
  return listPoints(
    pairs(values.sizes, 'x').map(([height, width]): Size => ({ height, width })),
    values.batches.split(',').map(Number),
    pairs(values.channels, '/').map(([student, teacher]): Channels => ({ student, teacher })),
  );
}

function outOfTime(point: Point, budget: number): PointResult {
  say(`${pointName(point)}: skipped, the budget of ${budget} minutes doesn't hold it`);
  const skipped = { skipped: `no time left of ${budget} minutes` };
  return { point, sides: { cirkd: skipped, torch: skipped } };
}
