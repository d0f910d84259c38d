/**
 * What the benches have in common: a bench says what it is asked (its own options), how it measures, and what
 * a page shows of its results. The rest is here: the options of all, checks before any work, results that
 * are kept as they come and rendered again, the page, exit codes (program.ts).
 */
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { replaceFile } from '../../src/run/durableFiles.js';
import {
  checkMarkedSections,
  type MarkedSections,
  writeMarkedSections,
} from '../../services/program/markedSection.js';
import { helped, type Options, readOptions, text, type ValuesOf } from './options.js';
import { endOnSignals, runMain, say } from './program.js';
import {
  commit,
  type Engines,
  keepResults,
  machine,
  type MeasuredThere,
  prepareResults,
  readResults,
} from './results.js';

export interface Bench<Own extends Options, Found extends object> {
  readonly name: string;
  readonly options: Own;
  /** What is to be measured. Throws UsageError. */
  plan(values: ValuesOf<Own>): Plan<Found>;
  readonly page: Page<Found & MeasuredThere>;
}

export interface Plan<Found extends object> {
  /** The places that a page must have for what comes of this. */
  readonly sections: readonly string[];
  /** Of each side; as many as there are cores unless given. */
  readonly threads?: number;
  /** Before the clock runs: installs the peer's packages, gives their folder. */
  readonly peer?: (say: (text: string) => void) => Promise<string>;
  measure(measuring: Measuring<Found>): Promise<Found>;
}

/** What the runner gives to a measurement. */
export interface Measuring<Found extends object> {
  readonly threads: number;
  /** Folder of the peer's packages; '' where the plan names no peer. */
  readonly peer: string;
  /** Filled as processes say what they are. */
  readonly engines: { -readonly [Side in keyof Engines]: Engines[Side] };
  say(text: string): void;
  /** Since the start. */
  minutes(): number;
  /** What was found so far: kept, should the rest be stopped. */
  keep(found: Found): Promise<void>;
}

export interface Page<Results> {
  /** Those that have something to show. @param plot the plot's name, beside the page */
  sections(results: Results, plot: string): MarkedSections;
  /** An SVG; a page performance.md has it as performance-<bench>.svg. */
  readonly plot?: (results: Results) => string;
}

const COMMON = {
  results: text.describe('a file that keeps the results (runs/<bench>/results.json unless given)'),
  render: text.describe('a file with results of an earlier run, in place of measuring'),
  out: text.describe('a page with places for the sections; standard output gets them in any case'),
};

/** The program of a bench. */
export function runBench<Own extends Options, Found extends object>(
  bench: Bench<Own, Found>,
): Promise<void> {
  endOnSignals();
  return runMain(`bench:${bench.name}`, () => {
    return benchMain(bench, process.argv.slice(2), (text) => process.stdout.write(text));
  });
}

/** Throws what the command line or the measurement is at fault for. @param print what the sections come to */
export async function benchMain<Own extends Options, Found extends object>(
  bench: Bench<Own, Found>,
  argv: readonly string[],
  print: (text: string) => void,
): Promise<void> {
  const options = { ...bench.options, ...COMMON };
  if (helped(`npm run bench:${bench.name} -- [options]`, options, argv, print)) return;
  const given = readOptions<Options>(options, argv);
  const { out, render, results: file } = given as ValuesOf<typeof COMMON>;
  const { page } = bench;
  let results: Found & MeasuredThere;
  if (render === undefined) {
    const plan = bench.plan(given as ValuesOf<Own>);
    if (out !== undefined) await checkMarkedSections('--out', out, plan.sections);
    const kept = file ?? `runs/${bench.name}/results.json`;
    await prepareResults(kept);
    results = await measure(plan, kept);
  } else {
    results = await readResults<Found & MeasuredThere>(render);
    if (out !== undefined)
      await checkMarkedSections('--out', out, Object.keys(page.sections(results, '')));
  }
  if (out !== undefined) await writePage(bench, out, results);
  print(`${Object.values(page.sections(results, 'plot.svg')).join('\n\n')}\n`);
}

async function measure<Found extends object>(
  { threads = availableParallelism(), peer, measure }: Plan<Found>,
  file: string,
): Promise<Found & MeasuredThere> {
  const packages = (await peer?.(say)) ?? '';
  const made = await commit();
  const started = new Date();
  const minutes = () => (Date.now() - started.getTime()) / 60_000;
  const engines = {};
  const whole = (found: Found): Found & MeasuredThere => ({
    ...{ date: started.toISOString(), minutes: minutes(), machine: machine(), threads, engines },
    ...made,
    ...found,
  });
  const keep = (found: Found) => keepResults(file, whole(found));
  const results = whole(await measure({ threads, peer: packages, engines, say, minutes, keep }));
  await keepResults(file, results);
  return results;
}

/** The plot's name follows from the page's: performance.md, performance-losses.svg. */
export async function writePage<Results extends object>(
  { name, page }: { readonly name: string; readonly page: Page<Results> },
  path: string,
  results: Results,
): Promise<void> {
  const plot = `${basename(path, '.md')}-${name}.svg`;
  if (page.plot !== undefined) {
    await replaceFile(join(dirname(path), plot), `${page.plot(results)}\n`);
  }
  await writeMarkedSections(path, page.sections(results, plot));
}
