/** Results as a section of a Markdown file. */
import { machineLine } from '../support/machine.js';
import { writeMarkedSection } from '../support/markedSection.js';
import { goalTable } from './goals.js';
import { graphTable } from './graphTable.js';
import type { CaseResult, StepResults } from './results.js';
import { agreementTable, memoryTable, partTable, profileTable, timeTable } from './table.js';

/** Between the markers of the file, those that were measured. Throws Error where it has none. */
export async function writeDocument(path: string, results: StepResults): Promise<void> {
  if (results.cases.length > 0) await writeMarkedSection(path, 'step', section(results));
  if (hasGraphs(results)) await writeMarkedSection(path, 'graph', graphSection(results));
}

/** Whatever was measured. */
export function wholeText(results: StepResults): string {
  const steps = results.cases.length > 0 ? [section(results)] : [];
  return [...steps, ...(hasGraphs(results) ? [graphSection(results)] : [])].join('\n\n');
}

const hasGraphs = ({ graphs = [] }: StepResults) => graphs.length > 0;

function graphSection(results: StepResults): string {
  const { graphs = [] } = results;
  const rounds = graphs[0]?.own.rounds.length ?? 0;
  return [machineLine(results), roundsLine(rounds, graphs), graphTable(graphs)].join('\n\n');
}

function roundsLine(rounds: number, measured: readonly Pick<CaseResult, 'case'>[]): string {
  const all = measured.map(
    ({ case: { workload } }) => `${workload.images}×${workload.height}×${workload.width}`,
  );
  const sizes = [...new Set(all)].join(', ');
  return `${rounds} rounds, ${sizes} pixels. In brackets: quartiles of the rounds.`;
}

export function section(results: StepResults): string {
  const { cases } = results;
  const rounds = cases[0]?.sides.cirkd.rounds.length ?? 0;
  const profiles = cases.flatMap(({ case: { title }, profile }) => [
    `#### ${title}`,
    profileTable(profile),
  ]);
  return [
    machineLine(results),
    roundsLine(rounds, cases),
    '### Goals of a step',
    goalTable(cases),
    '### Time',
    timeTable(cases),
    ...(cases.some((result) => result.case.kind === 'network') ? [partTable(cases)] : []),
    '### Peak memory',
    memoryTable(cases),
    '### Agreement',
    agreementTable(cases),
    '### Where the time goes here',
    ...profiles,
  ].join('\n\n');
}
