/** `cirkd report`: rebuilds a run's report from its folder, or compares several runs. */
import { parseArgs } from 'node:util';
import { compareReport } from '../../../src/report/compareReport.js';
import type { ReportData } from '../../../src/report/reportData.js';
import { runReport } from '../../../src/report/runReport.js';
import { type ReportSource, readReportSource } from '../../../src/report/source.js';
import { textTable } from '../../../src/report/textTable.js';
import { writeReport } from '../../../src/report/writeReport.js';
import { type Command, UsageError } from '../command.js';
import { checkOutFolder, makeOutFolder } from '../outFolder.js';

const usage = `cirkd report RUN [--out DIR]
cirkd report RUN RUN... --out DIR

Writes report.html (self-contained) and report.png, and prints the table.
One run: scores, curves, time, pictures, config and environment; written into the run's folder unless --out
is given. A run in progress or interrupted is shown as far as it got.
Several runs: their scores side by side, the curves in one chart, and the differences of their configs.

  --out DIR  folder for the report; created if it doesn't exist

Exit codes: 0 done, 2 usage, or a folder without a run.`;

async function run(argv: string[]): Promise<number> {
  const { values, positionals: runs } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: { out: { type: 'string' } },
  });
  if (runs.length === 0) throw new UsageError('report: no run given');
  if (runs.length > 1 && values.out === undefined) {
    throw new UsageError('--out: required to compare several runs');
  }
  if (values.out !== undefined) checkOutFolder('--out', values.out);
  const out = values.out ?? runs[0]!;
  const sources: ReportSource[] = [];
  for (const path of runs) sources.push(await readReportSource(path));
  const data = reportOf(sources);
  if (values.out !== undefined) await makeOutFolder('--out', out);
  const { html, png } = await writeReport(out, data);
  process.stdout.write(`${textTable(data.table)}\n${html}\n${png}\n`);
  return 0;
}

function reportOf(sources: readonly ReportSource[]): ReportData {
  const [first, ...others] = sources;
  return others.length === 0 ? runReport(first!) : compareReport(sources);
}

export const command: Command = {
  name: 'report',
  summary: "Rebuilds a run's report, or compares several runs.",
  usage,
  run,
};
