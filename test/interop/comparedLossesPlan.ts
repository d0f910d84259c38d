/**
 * The cases of comparedLosses.test.ts: which loss, on which inputs. Odd sizes, single positions, zero
 * vectors, ties under max pooling, labels that leave classes or everything out.
 */
import { recipeValues } from '../../src/conformance/recipe.js';
import { discriminatorShapes } from '../../src/losses/adversarial/discriminatorParameters.js';

const SALT = 'interop/losses';

export interface InputSpec {
  /** PyTorch's layout. */
  readonly shape: readonly number[];
  readonly low: number;
  readonly high: number;
  /** Rounded down to thirds, so that values are equal. */
  readonly quantised?: boolean;
  /** A row of the map whose first position is the zero vector. */
  readonly zeroAt?: number;
  /** The first channel is zero everywhere. */
  readonly zeroChannel?: boolean;
}

export interface LossCase {
  readonly name: string;
  readonly op: string;
  readonly params: Readonly<Record<string, number>>;
  readonly inputs: Readonly<Record<string, InputSpec>>;
}

/** float32, PyTorch's layout; the same as the peer's tensor_of. */
export function inputValues(of: LossCase, name: string): Float32Array {
  const { shape, low, high, ...changed } = of.inputs[name]!;
  const values = recipeValues({ salt: SALT, name: `${of.name}/${name}`, shape, low, high });
  const exact = changed.quantised ? values.map((value) => Math.floor(value * 3) / 3) : values;
  const [, channels = 0, height = 0, width = 0] = shape;
  for (let i = 0; i < exact.length; i++) {
    const position = i % (height * width);
    const channel = Math.floor(i / (height * width)) % channels;
    if (changed.zeroAt !== undefined && position === changed.zeroAt * width) exact[i] = 0;
    if (changed.zeroChannel && channel === 0) exact[i] = 0;
  }
  return exact;
}

type Change = Omit<Partial<InputSpec>, 'shape'>;

const map = (shape: readonly number[], change: Change = {}): InputSpec => ({
  ...{ shape, low: -1, high: 1 },
  ...change,
});

/** [N, Cs, H, W] of the student, and the teacher's channels. */
type Sizes = readonly [number, number, number, number, number];

const pair = ([n, cs, h, w, ct]: Sizes, change: Change = {}) => ({
  student: map([n, cs, h, w], change),
  teacher: map([n, ct, h, w], change),
});

const SIZES: readonly Sizes[] = [
  [2, 5, 6, 4, 7],
  [1, 3, 5, 7, 3],
  [4, 6, 1, 1, 2],
  [3, 4, 1, 9, 4],
];

const ZERO = { zeroAt: 0 };
const POSITIVE = { low: 0, high: 2 };

function everySize(
  op: string,
  params: LossCase['params'],
  inputs: (sizes: Sizes) => LossCase['inputs'],
): LossCase[] {
  return SIZES.map((sizes) => ({
    name: `${op}_${sizes.join('x')}`,
    ...{ op, params },
    inputs: inputs(sizes),
  }));
}

function ifvdCases(): LossCase[] {
  const labels = (sizes: Sizes, [low, high]: readonly [number, number]) => ({
    ...pair(sizes, ZERO),
    labels: { shape: [sizes[0], 8 * sizes[2] - 3, 8 * sizes[3] + 1], low, high },
  });
  // The peer's labels are floor(x) - 1, so that values below 1 are ignored.
  return [
    ...everySize('ifvd', { classes: 4 }, (sizes) => labels(sizes, [0, 5])),
    ...everySize('ifvd', { classes: 4 }, (sizes) => labels(sizes, [2, 4])).map(renamed('absent')),
    ...everySize('ifvd', { classes: 4 }, (sizes) => labels(sizes, [0, 1])).map(renamed('ignored')),
  ];
}

const renamed =
  (suffix: string) =>
  (of: LossCase): LossCase => ({ ...of, name: `${of.name}_${suffix}` });

function psdCases(): LossCase[] {
  const psd = (name: string, students: readonly number[], [n, h, w]: readonly number[]) => ({
    name,
    op: 'dsd_psd',
    params: { levels: students.length },
    inputs: Object.fromEntries(
      students.flatMap((channels, level) => [
        [`student/${level}`, map([n!, channels, h!, w!])],
        [`teacher/${level}`, map([n!, channels + level, h!, w!])],
      ]),
    ),
  });
  return [
    psd('psd_two', [3, 5], [1, 5, 3]),
    psd('psd_three', [4, 6, 4], [3, 1, 7]),
    psd('psd_four', [2, 2, 5, 3], [2, 4, 4]),
  ];
}

function channelCases(): LossCase[] {
  const channel = (name: string, sizes: readonly number[], params: LossCase['params']) => {
    const [n = 0, channels = 0, h = 0, w = 0] = sizes;
    const pooled = [Math.ceil(h / 4), Math.ceil(w / 4)];
    return {
      ...{ name, op: 'channel', params },
      inputs: {
        student: map([n, channels, ...pooled], { zeroChannel: true }),
        teacher: map([n, channels, h, w]),
        queue: map([9, pooled[0]! * pooled[1]!]),
      },
    };
  };
  return [
    channel('channel_basic', [2, 5, 8, 12], { temperature: 0.1, kdTemperature: 1 }),
    channel('channel_cut', [3, 4, 9, 14], { temperature: 0.3, kdTemperature: 2 }),
    channel('channel_cold', [1, 6, 8, 8], { temperature: 0.005, kdTemperature: 1 }),
  ];
}

/** Gammas are not 0, as they would be at first: the attentions' other gradients would be. */
function holisticCase(name: string, classes: number, width: number, sizes: number[]): LossCase {
  const shapes = Object.entries(discriminatorShapes(classes, width));
  const parameters = shapes.map(([parameter, shape]) => {
    const official = officialShape(shape);
    const reach = Math.sqrt(
      3 /
        Math.max(
          1,
          official.slice(1).reduce((a, b) => a * b, 1),
        ),
    );
    return [parameter, map(official, { low: -reach, high: reach })];
  });
  const us = Array.from({ length: 4 }, (_, at) => [`u${at}`, map([width * 2 ** at])]);
  const [n = 0, h = 0, w = 0] = sizes;
  return {
    name,
    op: 'holistic',
    params: { classes, width },
    inputs: {
      ...Object.fromEntries([...parameters, ...us]),
      ...pair([n, classes, h, w, classes], { low: -4, high: 4 }),
    },
  };
}

/** The same discriminator, trained as WGAN-GP. */
function penalised(of: LossCase, penalty: number): LossCase {
  const [images = 0] = of.inputs.student!.shape;
  const shares = map([images], { low: 0 });
  return {
    ...{ name: `${of.name}_penalty`, op: of.op },
    params: { ...of.params, penalty },
    inputs: { ...of.inputs, shares },
  };
}

/** TensorFlow's [R, S, C, K] as PyTorch's [K, C, R, S]. */
function officialShape(shape: readonly number[]): readonly number[] {
  return shape.length === 4 ? [3, 2, 0, 1].map((axis) => shape[axis]!) : shape;
}

export const LOSS_CASES: readonly LossCase[] = [
  ...everySize('at', {}, (sizes) => pair(sizes, ZERO)),
  {
    ...{ name: 'at_zero_image', op: 'at', params: {} },
    inputs: {
      student: map([2, 1, 3, 3], { zeroChannel: true }),
      teacher: map([2, 4, 3, 3]),
    },
  },
  ...everySize('fitnet', {}, (sizes) => ({
    ...pair(sizes),
    weight: map([sizes[4], sizes[1], 1, 1]),
  })),
  ...everySize('skd_pairwise', {}, (sizes) => pair(sizes, POSITIVE)),
  ...everySize('skd_pairwise', {}, (sizes) => pair(sizes, { quantised: true })).map(
    renamed('ties'),
  ),
  ...ifvdCases(),
  ...everySize('cwd', { temperature: 4 }, ([n, c, h, w]) => pair([n, c, h, w, c])),
  ...everySize('cwd', { temperature: 0.05 }, (sizes) => ({
    ...pair(sizes),
    weight: map([sizes[4], sizes[1], 1, 1]),
  })).map(renamed('convolved')),
  ...everySize('dsd_csd', { temperature: 4 }, ([n, c, h, w]) => pair([n, c, h, w, c], { high: 9 })),
  ...everySize('dsd_csd', { temperature: 0.2 }, ([n, c, h, w]) => pair([n, c, h, w, c])).map(
    renamed('cold'),
  ),
  ...psdCases(),
  ...channelCases(),
  holisticCase('holistic_small', 5, 8, [2, 64, 80]),
  penalised(holisticCase('holistic_small', 5, 8, [2, 64, 80]), 10),
  penalised(holisticCase('holistic_odd', 3, 16, [3, 71, 67]), 0.5),
  penalised(holisticCase('holistic_one', 19, 64, [1, 64, 128]), 10),
  holisticCase('holistic_odd', 3, 16, [3, 71, 67]),
  holisticCase('holistic_one', 19, 64, [1, 64, 128]),
];
