/** For each level and network a table: rates of each shape and pass, and which are slower than PyTorch's. */
import type { Page } from '../support/bench.js';
import { type Column, fixed, paragraphs, tableOf, times } from '../support/markdown.js';
import { machineLine } from '../support/results.js';
import type { KernelsResults, MeasuredLevel, ShapeResult, SideName } from './results.js';
import {
  type NetworkName,
  NETWORKS,
  operations,
  PASSES,
  type PassName,
  passesOf,
} from './shapes.js';

export const KERNELS_PAGE: Page<KernelsResults> = {
  sections: (results) => ({ kernels: section(results) }),
};

const PASS_TITLES = { forward: 'forward', inputGradient: 'dx', filterGradient: 'dw' } as const;
const LEVEL_TITLES = { wide: 'AVX-512', medium: 'AVX2', narrow: 'SSE' } as const;

/** PyTorch's time / ours of a pass that the shape has. */
const ratio = ({ sides }: ShapeResult, pass: PassName) => sides.torch[pass]! / sides.here[pass]!;

/** Of these layers of a network together; each counts once, whether the network has its pass or not. */
function wholeRatio(results: readonly ShapeResult[], pass: PassName): number {
  const sum = (side: 'here' | 'torch') =>
    results.reduce((all, { shape, sides }) => all + shape.layers * (sides[side][pass] ?? 0), 0);
  return sum('torch') / sum('here');
}

interface Group {
  readonly level: MeasuredLevel;
  readonly network: NetworkName;
  readonly shapes: readonly ShapeResult[];
}

function groupsOf(shapes: readonly ShapeResult[]): Group[] {
  const groups = new Map<string, ShapeResult[]>();
  for (const each of shapes) {
    const key = `${each.level} ${each.network}`;
    groups.set(key, [...(groups.get(key) ?? []), each]);
  }
  return [...groups.values()].map((own) => ({
    level: own[0]!.level,
    network: own[0]!.network,
    shapes: own,
  }));
}

function section(results: KernelsResults): string {
  const groups = groupsOf(results.shapes);
  const peaks = Object.entries(results.peak).map(
    ([level, rate]) => `${LEVEL_TITLES[level as keyof typeof LEVEL_TITLES]} ${rate.toFixed(0)}`,
  );
  return paragraphs(
    machineLine(results),
    `Multiply-adds between registers, one thread, GFLOP/s: ${peaks.join(', ')}.`,
    "PyTorch's time / time of all layers, and the passes of shapes where PyTorch is faster:",
    tableOf(groups, SUMMARY),
    'Each cell: here (without Winograd) / PyTorch, GFLOP/s; in bold where PyTorch is faster.',
    ...groups.flatMap(groupPart),
  );
}

const SUMMARY: readonly Column<Group>[] = [
  ['instructions', ({ level }) => LEVEL_TITLES[level]],
  ['network', ({ network }) => NETWORKS[network].title],
  ...PASSES.map((pass): Column<Group> => {
    return [PASS_TITLES[pass], ({ shapes }) => times(wholeRatio(shapes, pass))];
  }),
  ['PyTorch faster', slower],
];

/** "2 of 45, at most 1.2 times" */
function slower({ shapes }: Group): string {
  const ratios = shapes.flatMap((each) => passesOf(each.shape).map((pass) => ratio(each, pass)));
  const behind = ratios.filter((each) => each < 1);
  const most = behind.length === 0 ? '' : `, at most ${times(1 / Math.min(...behind))} times`;
  return `${behind.length} of ${ratios.length}${most}`;
}

function groupPart({ level, network, shapes }: Group): string[] {
  const columns: Column<ShapeResult>[] = [
    ['layers', ({ shape }) => String(shape.layers)],
    ['map', ({ shape: { height, width } }) => `${height}×${width}`],
    ['channels', ({ shape: { inputs, outputs } }) => `${inputs} → ${outputs}`],
    ['taps', ({ shape }) => tapsOf(shape)],
    ...PASSES.map((pass): Column<ShapeResult> => [PASS_TITLES[pass], (each) => cell(each, pass)]),
  ];
  return [`### ${NETWORKS[network].title}, ${LEVEL_TITLES[level]}`, tableOf(shapes, columns)];
}

function tapsOf({ kernel, stride, dilation, depthwise }: ShapeResult['shape']): string {
  const more = [
    ...(stride > 1 ? [`stride ${stride}`] : []),
    ...(dilation > 1 ? [`dilation ${dilation}`] : []),
    ...(depthwise ? ['depthwise'] : []),
  ];
  return [`${kernel}×${kernel}`, ...more].join(', ');
}

/** 1e9 operations of the direct sums a second; more than the machine's rate where fewer are made. */
function cell(result: ShapeResult, pass: PassName): string {
  const { shape, sides } = result;
  if (!passesOf(shape).includes(pass)) return '–';
  const rate = (side: SideName) => {
    const ms = sides[side]?.[pass];
    return ms === undefined ? undefined : fixed(0)(operations(shape) / ms / 1e6);
  };
  const direct = rate('direct');
  const here = direct === undefined ? rate('here') : `${rate('here')} (${direct})`;
  const text = `${here} / ${rate('torch')}`;
  return ratio(result, pass) < 1 ? `**${text}**` : text;
}
