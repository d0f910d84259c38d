/** Puts results between the markers of a Markdown file and the plot beside it. */
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { replaceFile } from '../../src/run/durableFiles.js';
import { goalTable } from './goals.js';
import { lossesPlot } from './plot.js';
import type { BenchResults, PointResult } from './results.js';
import { rateTable, skippedLines, timeAndMemoryTable } from './table.js';

const BEGIN = '<!-- losses: begin -->';
const END = '<!-- losses: end -->';

/** The plot's name follows from the document's: performance.md, performance-losses.svg. */
export async function writeDocument(path: string, results: BenchResults): Promise<void> {
  const before = await readFile(path, 'utf8');
  const [begin, end] = [before.indexOf(BEGIN), before.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${path} has no '${BEGIN}' … '${END}'`);
  const plot = `${basename(path, '.md')}-losses.svg`;
  await replaceFile(join(dirname(path), plot), `${lossesPlot(results.points)}\n`);
  const text = `${BEGIN}\n${section(results, plot)}\n${before.slice(end)}`;
  await replaceFile(path, before.slice(0, begin) + text);
}

export function section(results: BenchResults, plot: string): string {
  const { points } = results;
  const of = (loss: PointResult['point']['loss']) =>
    points.filter(({ point }) => point.loss === loss);
  return [
    machineLine(results),
    '### Goals',
    goalTable(points),
    '### Mini-batch loss with gradient',
    timeAndMemoryTable(of('minibatch')),
    `![time and extra memory against positions](${plot})`,
    '### Both memory losses with gradient',
    timeAndMemoryTable(of('memory')),
    '### Rates',
    rateTable(points),
    skippedLines(points),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function machineLine({ date, machine, threads, engines, minutes }: BenchResults): string {
  const { processor, memoryGiB, node } = machine;
  return (
    `${date.slice(0, 16).replace('T', ' ')} UTC, ${minutes.toFixed(0)} minutes. ${processor}, ` +
    `${threads} cores, ${memoryGiB} GiB; Node.js ${node}, ${engines.cirkd ?? '–'}, ` +
    `${engines.torch ?? '–'}.`
  );
}
