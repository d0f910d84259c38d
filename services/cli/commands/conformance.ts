/** `cirkd conformance DIR [--op a,b]`: runs golden cases through the code that trains. */
import { parseArgs } from 'node:util';
import { GoldenSet } from '../../../src/conformance/goldenSet.js';
import { GoldenError } from '../../../src/conformance/operation.js';
import { count, countsLine, isFailure, resultLine } from '../../../src/conformance/report.js';
import { type KeyResult, runCase } from '../../../src/conformance/runner.js';
import { OPERATIONS } from '../../../src/conformance/table.js';
import { type Command, UsageError } from '../command.js';

const EXIT_FAILED = 1;

const usage = `cirkd conformance DIR [--op NAME,NAME] [--case NAME,NAME]

Runs every case of a golden set (DIR/cases.json and the files beside it) and prints one line per key:
  PASS|FAIL|UNSUPPORTED <tab> op <tab> case <tab> key <tab> worst |error|/tolerance
then "N passed, N failed, N skipped". The reasons for failures go to standard error.

  --op    only these operations; one that isn't supported then counts as a failure
  --case  only these cases

Exit codes: 0 all passed, 1 something failed, 2 usage, or no golden set in DIR.`;

async function run(argv: string[]): Promise<number> {
  const { directory, ops, cases } = readOptions(argv);
  const set = openSet(directory);
  checkNames(set, ops, cases);
  const results: KeyResult[] = [];
  for (const record of set.cases) {
    if (ops.size > 0 && !ops.has(record.op)) continue;
    if (cases.size > 0 && !cases.has(record.name)) continue;
    for (const result of await runCase(set, record, OPERATIONS)) {
      results.push(result);
      process.stdout.write(`${resultLine(result)}\n`);
      if (result.verdict !== 'PASS' && result.reason !== undefined) {
        process.stderr.write(`${result.caseName}: ${result.key}: ${result.reason}\n`);
      }
    }
  }
  process.stdout.write(`${countsLine(count(results))}\n`);
  return isFailure(results, ops) ? EXIT_FAILED : 0;
}

interface Options {
  readonly directory: string;
  readonly ops: ReadonlySet<string>;
  readonly cases: ReadonlySet<string>;
}

function readOptions(argv: string[]): Options {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      op: { type: 'string', multiple: true },
      case: { type: 'string', multiple: true },
    },
  });
  const [directory] = positionals;
  if (directory === undefined || positionals.length > 1) {
    throw new UsageError(`conformance: ${positionals.length} folders given, wanted one`);
  }
  return { directory, ops: names('--op', values.op), cases: names('--case', values.case) };
}

/** Comma-separated names; an option that was given must name something. */
function names(option: string, lists: readonly string[] | undefined): Set<string> {
  const found = (lists ?? []).flatMap((list) => list.split(',')).filter((name) => name !== '');
  if (lists !== undefined && found.length === 0) throw new UsageError(`${option}: no name given`);
  return new Set(found);
}

function openSet(directory: string): GoldenSet {
  try {
    return new GoldenSet(directory);
  } catch (error) {
    if (error instanceof GoldenError) throw new UsageError(error.message);
    throw error;
  }
}

/** Guards against a misspelt name, with which nothing would be checked and nothing would fail. */
function checkNames(set: GoldenSet, ops: ReadonlySet<string>, cases: ReadonlySet<string>): void {
  const knownOps = new Set([...OPERATIONS.keys(), ...set.cases.map(({ op }) => op)]);
  for (const op of ops) {
    if (knownOps.has(op)) continue;
    throw new UsageError(`--op: ${op} given, wanted some of ${[...knownOps].join(', ')}`);
  }
  const knownCases = new Set(set.cases.map(({ name }) => name));
  for (const name of cases) {
    if (!knownCases.has(name)) throw new UsageError(`--case: the set has no case ${name}`);
  }
}

export const command: Command = {
  name: 'conformance',
  summary: 'Runs golden test vectors through the training code.',
  usage,
  run,
};
