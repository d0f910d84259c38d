/** The addon's kernels of a training step beside TensorFlow's ops: max pooling, and the update of the parameters. */
import {
  composedKernels,
  float32,
  type Kernels,
  nativeKernels,
  Parameter,
  readFloat32,
  scope,
} from '../../../src/tensor/index.js';
import { type Input, randomInput } from './finiteDifference.js';
import {
  type KernelCase,
  type KernelDistance,
  worstDistance,
  resultsOf,
} from './transformerKernels.js';

/** Fewer and more channels than a vector, with a rest; windows that the map ends in; an empty batch. */
const POOLINGS = [
  { shape: [2, 9, 7, 21], window: 3, stride: 2, padding: 1 },
  { shape: [1, 8, 8, 64], window: 3, stride: 2, padding: 1 },
  { shape: [3, 5, 6, 16], window: 2, stride: 2, padding: 0 },
  { shape: [1, 3, 3, 33], window: 3, stride: 1, padding: 1 },
  { shape: [2, 1, 1, 5], window: 3, stride: 2, padding: 1 },
  { shape: [1, 9, 8, 4], window: 2, stride: 3, padding: 1 },
  { shape: [1, 16, 21, 3], window: 15, stride: 4, padding: 7 },
  { shape: [0, 8, 8, 4], window: 3, stride: 2, padding: 1 },
] as const;

/** Of a few different values, so that maxima are often equal. */
function steps(input: Input): Input {
  return { ...input, values: input.values.map((value) => Math.round(2 * value)) };
}

const poolings = POOLINGS.flatMap(({ shape, ...geometry }, index): KernelCase[] =>
  [randomInput(400 + index, shape), steps(randomInput(500 + index, shape))].map((input, kind) => ({
    name: `max pooling ${shape}, ${Object.values(geometry)}${kind === 1 ? ', equal values' : ''}`,
    inputs: [input],
    run: (kernels, tape, [x]) => kernels.maxPool(tape, x!, geometry),
  })),
);

/** Empty, and of more elements than one thread gets. */
const SIZES = [1, 0, 7, 33, 1000, 70_001];
const NUMBERS = { rate: 0.3, momentum: 0.9, decay: 0.01 };

/** Weights and velocities after two updates, the second without every other gradient. */
export function updated({ momentum }: Kernels, sizes: readonly number[]): Float32Array[] {
  const whole = sizes.reduce((sum, size) => sum + size, 0);
  const all = [1, 2, 3].map((index) => randomInput(600 + index, [whole]).values);
  let begin = 0;
  const updates = sizes.map((size, index) => {
    const [weights, velocity, gradient] = all.map((values) => values.slice(begin, begin + size));
    begin += size;
    return {
      parameter: new Parameter(`w${index}`, weights!, [size]),
      velocity: new Parameter(`v${index}`, velocity!, [size]),
      gradient: float32(gradient!, [size]),
    };
  });
  momentum(updates, NUMBERS);
  momentum(
    updates.map((each, index) => (index % 2 === 0 ? each : { ...each, gradient: null })),
    NUMBERS,
  );
  const values = updates.flatMap(({ parameter, velocity }) => [
    parameter.toFloat32(),
    velocity.toFloat32(),
  ]);
  for (const each of updates) {
    each.parameter.dispose();
    each.velocity.dispose();
    each.gradient.dispose();
  }
  return values;
}

/** Whether tensors with and without a broken element are told apart, with both implementations. */
export function finitenessFaults(): string[] {
  const broken = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  return [nativeKernels, composedKernels].flatMap(({ finiteness }, table) =>
    broken.flatMap((value) =>
      SIZES.flatMap((_, at) =>
        scope(() => {
          const tensors = SIZES.map((size, index) => {
            const { values } = randomInput(index, [size]);
            if (index === at && size > 0) values[size - 1] = value;
            return float32(values, [size]);
          });
          const found = [...readFloat32(finiteness(tensors))].map(Number.isFinite);
          const wanted = SIZES.map((size, index) => index !== at || size === 0);
          return found.join() === wanted.join()
            ? []
            : [`table ${table}, ${value} in ${at}: ${found}`];
        }),
      ),
    ),
  );
}

export function trainingDistances(): KernelDistance[] {
  const ofPooling = poolings.map((each) => ({
    name: each.name,
    worst: worstDistance(resultsOf(nativeKernels, each), resultsOf(composedKernels, each)),
  }));
  const [own, wanted] = [nativeKernels, composedKernels].map((kernels) => updated(kernels, SIZES));
  const ofUpdate = { name: 'SGD with momentum', worst: worstDistance(own!, wanted!) };
  // The same bits however the elements are divided among parameters and threads; the second part lacks a gradient.
  const [whole, parts] = [
    updated(nativeKernels, [70_002]),
    updated(nativeKernels, [20_001, 1, 50_000]),
  ];
  const differing = whole.flatMap((values, kind) => {
    const joined = [0, 1, 2].flatMap((part) => [...parts[2 * part + kind]!]);
    return joined.filter((value, i) => i !== 20_001 && value !== values[i]);
  });
  const divided = { name: 'SGD in other parts: differing elements', worst: differing.length };
  const faults = finitenessFaults();
  const ofFiniteness = { name: `finiteness ${faults.join('; ')}`, worst: faults.length };
  return [...ofPooling, ofUpdate, divided, ofFiniteness];
}
