/**
 * What SKD's discriminator is made of: the names and shapes of its trained numbers, and the state that
 * a forward pass moves.
 *
 * K classes, B base width. Names are the official code's without `.module` and `_bar`; shapes are
 * TensorFlow's, [R, S, C, K] for convolutions.
 */
import { ops, type RankGroup, type Tensor } from '../../tensor/index.js';

/** The convolutions with spectral norm, in order. */
export const CONVOLUTIONS = ['l1.0', 'l2.0', 'l3.0', 'l4.0'] as const;

const PROJECTIONS = ['query_conv', 'key_conv', 'value_conv'] as const;

type Layer =
  | (typeof CONVOLUTIONS)[number]
  | `attn${1 | 2}.${(typeof PROJECTIONS)[number]}`
  | 'last.0'
  | 'preprocess_additional';

export type DiscriminatorParameter = `${Layer}.${'weight' | 'bias'}` | `attn${1 | 2}.gamma`;

/** Of all trained numbers, in the order of the official module's layers. */
export type DiscriminatorTensors = Readonly<Record<DiscriminatorParameter, Tensor>>;

/** What a forward pass in training moves without a gradient. */
export interface DiscriminatorState {
  /** float32 [K]: running statistics of the batch norm; nothing reads them in training. */
  readonly runningMean_K: Tensor;
  readonly runningVariance_K: Tensor;
  /** The vector u of each of CONVOLUTIONS, float32 [its output channels], unit length at first. */
  readonly us: readonly Tensor[];
}

export interface Discriminator {
  readonly parameters: DiscriminatorTensors;
  readonly state: DiscriminatorState;
  /** Those whose logits its batch norm normalises together; absent: it sees this process's alone. */
  readonly ranks?: RankGroup;
}

/** Shapes in TensorFlow's layout, for a model that holds the parameters. */
export function discriminatorShapes(
  classes: number,
  width = 64,
): Record<DiscriminatorParameter, readonly number[]> {
  const shapes: Partial<Record<DiscriminatorParameter, readonly number[]>> = {};
  const layer = (name: Layer, kernel: number, inputs: number, outputs: number) => {
    shapes[`${name}.weight`] = [kernel, kernel, inputs, outputs];
    shapes[`${name}.bias`] = [outputs];
  };
  for (const [at, name] of CONVOLUTIONS.entries()) {
    layer(name, 4, at === 0 ? classes : width * 2 ** (at - 1), width * 2 ** at);
  }
  for (const [name, channels] of [
    ['attn1', 4 * width],
    ['attn2', 8 * width],
  ] as const) {
    layer(`${name}.query_conv`, 1, channels, channels / 8);
    layer(`${name}.key_conv`, 1, channels, channels / 8);
    layer(`${name}.value_conv`, 1, channels, channels);
    shapes[`${name}.gamma`] = [1];
  }
  layer('last.0', 4, 8 * width, 1);
  shapes['preprocess_additional.weight'] = [classes];
  shapes['preprocess_additional.bias'] = [classes];
  return shapes as Record<DiscriminatorParameter, readonly number[]>;
}

export function mapParameters<From, To>(
  from: Readonly<Record<DiscriminatorParameter, From>>,
  convert: (value: From, name: DiscriminatorParameter) => To,
): Record<DiscriminatorParameter, To> {
  const entries = Object.entries(from) as [DiscriminatorParameter, From][];
  return Object.fromEntries(entries.map(([name, value]) => [name, convert(value, name)])) as Record<
    DiscriminatorParameter,
    To
  >;
}

/** The same memory as a tensor of this scope: a tape would free a caller's tensor that no scope has. */
export const view = (value: Tensor) => ops.reshape(value, value.shape);

/** Throws RangeError unless all shapes fit one another and this number of classes. */
export function requireParameters(
  given: Readonly<Record<DiscriminatorParameter, { readonly shape: readonly number[] }>>,
  state: DiscriminatorState,
  classes: number,
): void {
  const width = given['l1.0.weight'].shape.at(-1)!;
  for (const [name, wanted] of Object.entries(discriminatorShapes(classes, width))) {
    const { shape } = given[name as DiscriminatorParameter];
    requireShape(name, shape, wanted);
  }
  requireShape('running_mean', state.runningMean_K.shape, [classes]);
  requireShape('running_var', state.runningVariance_K.shape, [classes]);
  for (const [at, name] of CONVOLUTIONS.entries()) {
    requireShape(`${name}.weight_u`, state.us[at]?.shape ?? [], [width * 2 ** at]);
  }
}

function requireShape(name: string, given: readonly number[], wanted: readonly number[]): void {
  if (given.join() === wanted.join()) return;
  throw new RangeError(`discriminator: ${name}: shape [${given}] given, wanted [${wanted}]`);
}
