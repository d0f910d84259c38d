/** Results as a section of a Markdown file. */
import { machineLine } from '../support/machine.js';
import { writeMarkedSection } from '../support/markedSection.js';
import { goalTable } from './goals.js';
import type { StepResults } from './results.js';
import { agreementTable, memoryTable, partTable, profileTable, timeTable } from './table.js';

/** Between the markers of the file. Throws Error where it has none. */
export async function writeDocument(path: string, results: StepResults): Promise<void> {
  await writeMarkedSection(path, 'step', section(results));
}

export function section(results: StepResults): string {
  const { cases } = results;
  const rounds = cases[0]?.sides.cirkd.rounds.length ?? 0;
  const sizes = [
    ...new Set(
      cases.map(
        ({ case: { workload } }) => `${workload.images}×${workload.height}×${workload.width}`,
      ),
    ),
  ];
  const profiles = cases.flatMap(({ case: { title }, profile }) => [
    `#### ${title}`,
    profileTable(profile),
  ]);
  return [
    machineLine(results),
    `${rounds} rounds, ${sizes.join(', ')} pixels. In brackets: quartiles of the rounds.`,
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
