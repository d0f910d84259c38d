/**
 * Teacher forward and student step beside PyTorch with the same networks: the two sides in turns, a
 * process each.
 *
 *     node --import tsx bench/step/main.ts --out docs/performance.md
 *
 * The results are kept in runs/step/results.json; `--render FILE` writes the document from such a
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
import { type CaseSize, caseGroups, chooseCases, GOAL_SIZE, type StepCase } from './cases.js';
import { wholeText, writeDocument } from './document.js';
import { GRAPH_CASE, type GraphResult, graphCase, measureGraph } from './graphCase.js';
import { type Measurement, measureGroup } from './measure.js';
import type { CaseResult, StepResults } from './results.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '12' },
    /** Names with commas between; all unless given. */
    cases: { type: 'string' },
    threads: { type: 'string', default: String(availableParallelism()) },
    /** For a quick look at something smaller than the goals are about. */
    height: { type: 'string', default: String(GOAL_SIZE.height) },
    width: { type: 'string', default: String(GOAL_SIZE.width) },
    'width-multiplier': { type: 'string', default: '1' },
    'bank-rows': { type: 'string', default: String(GOAL_SIZE.bankRows.pixel) },
    results: { type: 'string', default: 'runs/step/results.json' },
    render: { type: 'string' },
    out: { type: 'string' },
  },
});

endOnSignals();

const results = await readOrMeasure(values.render, measureAll);
if (values.out !== undefined) await writeDocument(values.out, results);
process.stdout.write(`${wholeText(results)}\n`);

async function measureAll(): Promise<StepResults> {
  const { groups, graphs: graphCases } = wantedCases();
  const torch = await ensureTorch(say);
  await ensureFolder(dirname(values.results));
  const started = new Date();
  const measurement: Measurement = {
    rounds: wholeNumber('rounds'),
    threads: wholeNumber('threads'),
    torch,
    engines: {},
    say,
  };
  const cases: CaseResult[] = [];
  const graphs: GraphResult[] = [];
  const soFar = (): StepResults => ({
    date: started.toISOString(),
    minutes: (Date.now() - started.getTime()) / 60_000,
    machine: machine(),
    threads: measurement.threads,
    engines: measurement.engines,
    cases,
    graphs,
  });
  for (const group of groups) {
    cases.push(...(await measureGroup(group, measurement)));
    await keepResults(values.results, soFar());
  }
  for (const each of graphCases) {
    graphs.push(await measureGraph(each, measurement));
    await keepResults(values.results, soFar());
  }
  return soFar();
}

function wantedCases() {
  const pixel = wholeNumber('bank-rows');
  const size: CaseSize = {
    height: wholeNumber('height'),
    width: wholeNumber('width'),
    widthMultiplier: Number(values['width-multiplier']),
    // In the paper's proportion.
    bankRows: { pixel, region: Math.max(1, Math.round(pixel / 10)) },
  };
  const all = [...caseGroups(size), [graphCase(size)]];
  const chosen = values.cases === undefined ? all : chooseCases(all, values.cases.split(','));
  const isGraph = ({ name }: StepCase) => name === GRAPH_CASE;
  return {
    groups: chosen.filter((group) => !group.some(isGraph)),
    graphs: chosen.flat().filter(isGraph),
  };
}

function wholeNumber(option: 'rounds' | 'threads' | 'height' | 'width' | 'bank-rows'): number {
  const value = Number(values[option]);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new Error(`--${option}: ${values[option]} given, wanted a whole number above 0`);
}
