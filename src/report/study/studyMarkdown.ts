/** A study's tables as Markdown. */
import { markdownTable } from '../markdownTable.js';
import { failedRuns, type StudyResults } from './studyRecord.js';
import {
  classTable,
  failureTable,
  findings,
  scoreTable,
  seedTable,
  timeTable,
} from './studyTables.js';

export function studyMarkdown(results: StudyResults): string {
  const tables = [scoreTable, seedTable, classTable, timeTable];
  if (failedRuns(results).length > 0) tables.push(failureTable);
  return [
    ...findings(results).map((finding) => `- ${finding}`),
    ...tables.map((table) => `\n${markdownTable(table(results))}`),
  ].join('\n');
}
