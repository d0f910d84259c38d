/** What a page shows of the results: bytes, time, and the change of each term. */
import type { Page } from '../support/bench.js';
import { markdownTable, paragraphs, tableOf } from '../support/markdown.js';
import { machineLine, type MeasuredThere } from '../support/results.js';
import { type Accuracy, isHarmless } from './accuracy.js';
import { caseName, WIRE_CASES } from './cases.js';
import { best, type Coding } from './coding.js';
import { TEACHER_TERMS } from '../../src/contract/terms.js';

export interface WireFound {
  readonly teacher: string;
  readonly dataset: string;
  readonly codings: readonly Coding[];
  readonly accuracies: readonly Accuracy[];
}

export const WIRE_PAGE: Page<WireFound & MeasuredThere> = {
  sections: (results) => ({ wire: section(results) }),
};

function section(results: WireFound & MeasuredThere): string {
  return paragraphs(
    machineLine(results),
    '### Bytes and time',
    ...results.codings.map(codingTable),
    '### Losses and gradients',
    `Teacher ${results.teacher}, images of ${results.dataset}.`,
    ...results.accuracies.map(accuracyTable),
  );
}

function codingTable({ size, rounds, cases }: Coding): string {
  const { height, width, classes, channels } = size;
  const whole = cases[0]!.bytes;
  const rows = cases.map((coded, index) => ({ ...coded, name: caseName(WIRE_CASES[index]!) }));
  const table = tableOf(rows, [
    ['sent as', ({ name }) => name],
    ['MiB per image', ({ bytes }) => (bytes / 2 ** 20).toFixed(2)],
    ['times less than fp32', ({ bytes }) => (whole / bytes).toFixed(2)],
    ['encode, ms', ({ encodeMs }) => best(encodeMs).toFixed(1)],
    ['decode, ms', ({ decodeMs }) => best(decodeMs).toFixed(1)],
  ]);
  return `${height}×${width} positions, ${channels} channels, ${classes} classes; the best of ${rounds} rounds:\n\n${table}`;
}

function accuracyTable({ student, batches, losses, changes }: Accuracy): string {
  const rows = WIRE_CASES.slice(1).map((wireCase, index) => {
    const own = changes[index + 1]!;
    const cells = TEACHER_TERMS.map((term) => {
      const { loss, cosine } = own[term];
      return `${percent(loss)}, ${tidy(1 - cosine)}`;
    });
    const harmless = TEACHER_TERMS.every((term) => isHarmless(own[term]));
    return [caseName(wireCase), ...cells, harmless ? 'yes' : '**no**'];
  });
  const fp32 = TEACHER_TERMS.map((term) => losses[term].toPrecision(4));
  const header = ['sent as', ...TEACHER_TERMS.map((term) => `\`${term}\``), 'harmless'];
  return [
    `Student: ${student}. For each term the relative change of the loss and 1 − cosine of the gradient, the worst of ${batches} batches of two; above them the losses in fp32:`,
    markdownTable(header, [['fp32, logits sent', ...fp32, ''], ...rows]),
  ].join('\n\n');
}

const percent = (share: number) => (share === 0 ? '0' : `${(100 * share).toPrecision(2)} %`);

/** Below float32's own rounding a difference means nothing. */
const tidy = (value: number) => (value < 1e-7 ? '0' : value.toExponential(1));
