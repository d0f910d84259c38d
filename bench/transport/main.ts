/**
 * Answers into the student's tensors over loopback, beside bare grpc-js and grpc's C core: a server
 * and a client process for each side, in turns.
 *
 *     node --import tsx bench/transport/main.ts --out docs/performance.md
 *
 * `--quick` shows in a minute that all of it runs. The results are kept in
 * runs/transport/results.json; `--render FILE` writes the document from such a file.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { keepResults, readOrMeasure, say } from '../support/benchResults.js';
import { endOnSignals } from '../support/endOnSignals.js';
import { ensureGrpcio } from '../support/grpcPackages.js';
import { machine } from '../support/machine.js';
import { writeMarkedSection } from '../support/markedSection.js';
import { GOAL_SIZE } from './cases.js';
import { measureTransport } from './measure.js';
import type { TransportResults } from './results.js';
import { section } from './table.js';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    results: { type: 'string', default: 'runs/transport/results.json' },
    render: { type: 'string' },
    out: { type: 'string' },
  },
});

endOnSignals();

const results = await readOrMeasure(values.render, measureAll);
if (values.out !== undefined) await writeMarkedSection(values.out, 'transport', section(results));
process.stdout.write(`${section(results)}\n`);

async function measureAll(): Promise<TransportResults> {
  const grpcio = await ensureGrpcio(say);
  const started = new Date();
  const size = GOAL_SIZE;
  const amount = values.quick ? { rounds: 1, answers: 8 } : { rounds: 15, answers: 48 };
  const { sides, core } = await measureTransport({ ...amount, size, grpcio, say });
  const results: TransportResults = {
    date: started.toISOString(),
    minutes: (Date.now() - started.getTime()) / 60_000,
    machine: machine(),
    threads: availableParallelism(),
    engines: { cirkd: 'grpc-js', torch: core },
    size,
    sides,
  };
  await keepResults(values.results, results);
  return results;
}
