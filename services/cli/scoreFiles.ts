/** The scores of an evaluation as files. */
import { join } from 'node:path';
import { classesCsv, confusionCsv } from '../../src/evaluate/csv.js';
import { confusionTable, type ScoreReport, scoreTable } from '../../src/evaluate/scoreTable.js';
import { replaceFile } from '../../src/run/durableFiles.js';

/** Writes each file atomically; scores.json says what was evaluated and how. */
export async function writeScoreFiles(folder: string, report: ScoreReport): Promise<void> {
  const files = {
    'classes.csv': classesCsv(report),
    'confusion.csv': confusionCsv(report),
    'scores.txt': `${scoreTable(report)}\n\n${confusionTable(report)}\n`,
    'scores.json': `${JSON.stringify(report, null, 2)}\n`,
  };
  for (const [name, text] of Object.entries(files)) await replaceFile(join(folder, name), text);
}
