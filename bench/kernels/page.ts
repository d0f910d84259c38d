/** A table for each network: rates of each shape and pass, and which are slower than PyTorch's. */
import type { Page } from '../support/bench.js';
import { type Column, fixed, paragraphs, tableOf, times } from '../support/markdown.js';
import { machineLine } from '../support/results.js';
import { PASSES, type PassName } from './protocol.js';
import { type KernelsResults, type ShapeResult, SIDE_NAMES, type SideName } from './results.js';
import { type NetworkName, NETWORKS, operations } from './shapes.js';

export const KERNELS_PAGE: Page<KernelsResults> = {
  sections: (results) => ({ kernels: section(results) }),
};

const PASS_TITLES = { forward: 'forward', inputGradient: 'dx', filterGradient: 'dw' } as const;

/** 1e9 operations of the direct sums a second; more than the machine's rate where fewer are made. */
const rate = ({ shape, sides }: ShapeResult, side: SideName, pass: PassName) =>
  operations(shape) / sides[side][pass] / 1e6;

export const ratio = ({ sides }: ShapeResult, pass: PassName) =>
  sides.torch[pass] / sides.here[pass];

/** All layers of a network together: PyTorch's time by ours. */
export function wholeRatio(results: readonly ShapeResult[], pass: PassName): number {
  const sum = (side: SideName) =>
    results.reduce((all, { shape, sides }) => all + shape.layers * sides[side][pass], 0);
  return sum('torch') / sum('here');
}

export function section(results: KernelsResults): string {
  const { peak, shapes } = results;
  const names = [...new Set(shapes.map(({ network }) => network))];
  const levels = Object.entries(peak).map(([level, rate]) => `${level} ${rate.toFixed(0)}`);
  return paragraphs(
    machineLine(results),
    `Multiply-adds between registers, one thread, GFLOP/s: ${levels.join(', ')}. ` +
      'Each cell: here (without Winograd) / PyTorch, GFLOP/s; in bold where PyTorch is faster.',
    ...names.flatMap((name) => networkPart(name, shapes)),
  );
}

function networkPart(name: NetworkName, all: readonly ShapeResult[]): string[] {
  const shapes = all.filter(({ network }) => network === name);
  const whole = PASSES.map((pass) => `${PASS_TITLES[pass]} ${times(wholeRatio(shapes, pass))}`);
  const columns: Column<ShapeResult>[] = [
    ['layers', ({ shape }) => String(shape.layers)],
    ['map', ({ shape: { height, width } }) => `${height}×${width}`],
    ['channels', ({ shape: { inputs, outputs } }) => `${inputs} → ${outputs}`],
    ['taps', ({ shape }) => tapsOf(shape)],
    ...PASSES.map((pass): Column<ShapeResult> => [PASS_TITLES[pass], (each) => cell(each, pass)]),
  ];
  return [
    `### ${NETWORKS[name].title}`,
    `PyTorch's time / time of all layers: ${whole.join(', ')}.`,
    tableOf(shapes, columns),
  ];
}

function tapsOf({ kernel, stride, dilation }: ShapeResult['shape']): string {
  const more = [stride > 1 ? `stride ${stride}` : '', dilation > 1 ? `dilation ${dilation}` : ''];
  return [`${kernel}×${kernel}`, ...more.filter((part) => part !== '')].join(', ');
}

function cell(result: ShapeResult, pass: PassName): string {
  const [here, direct, torch] = SIDE_NAMES.map((side) => fixed(0)(rate(result, side, pass)));
  const text = `${here} (${direct}) / ${torch}`;
  return ratio(result, pass) < 1 ? `**${text}**` : text;
}
