/** Puts results between the markers of a Markdown file and the plot beside it. */
import { basename, dirname, join } from 'node:path';
import { replaceFile } from '../../src/run/durableFiles.js';
import { machineLine } from '../support/machine.js';
import { writeMarkedSection } from '../support/markedSection.js';
import { goalTable } from './goals.js';
import { lossesPlot } from './plot.js';
import type { BenchResults, PointResult } from './results.js';
import { rateTable, skippedLines, timeAndMemoryTable } from './table.js';

/** The plot's name follows from the document's: performance.md, performance-losses.svg. */
export async function writeDocument(path: string, results: BenchResults): Promise<void> {
  const plot = `${basename(path, '.md')}-losses.svg`;
  await replaceFile(join(dirname(path), plot), `${lossesPlot(results.points)}\n`);
  await writeMarkedSection(path, 'losses', section(results, plot));
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
