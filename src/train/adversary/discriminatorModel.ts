/**
 * SKD's discriminator as a trained part of a run: its weights, running statistics and singular
 * vectors, by the names of the official code without `.module` and `_bar`. Layers and sources:
 * src/losses/adversarial/discriminator.ts.
 */
import {
  CONVOLUTIONS,
  type Discriminator,
  type DiscriminatorParameter,
  type DiscriminatorState,
  discriminatorShapes,
  mapParameters,
} from '../../losses/adversarial/discriminatorParameters.js';
import type { StagedBuffers } from '../../models/buffers.js';
import { Builder, type WeightSource } from '../../models/builder.js';
import { uniformWeights } from '../../models/initialise.js';
import type { EntryRole } from '../../models/layout.js';
import { TrainedPart } from '../../models/trainedPart.js';
import type { Parameter } from '../../tensor/index.js';

/** Begins the names of all its entries. */
export const DISCRIMINATOR = 'discriminator';

/** Channels after the first convolution, as in the official code. */
const WIDTH = 64;

export class DiscriminatorModel extends TrainedPart {
  readonly #weights: Readonly<Record<DiscriminatorParameter, Parameter>>;
  readonly #mean: Parameter;
  readonly #variance: Parameter;
  readonly #us: readonly Parameter[];

  constructor(classes: number, weights: WeightSource, width = WIDTH) {
    super();
    const at = new Builder(this.state, weights).at(DISCRIMINATOR);
    this.#weights = mapParameters(discriminatorShapes(classes, width), (shape, name) =>
      at.parameter(name, officialShape(shape), roleOf(name, shape)),
    );
    const norm = at.at('preprocess_additional');
    this.#mean = norm.buffer('running_mean', [classes], 'running_mean');
    this.#variance = norm.buffer('running_var', [classes], 'running_var');
    this.#us = CONVOLUTIONS.map((name, layer) =>
      at.buffer(`${name}.weight_u`, [width * 2 ** layer], 'singular_vector'),
    );
  }

  /** The current values, of the caller's scope; the state as far as this step's passes have moved it. */
  read(staged: StagedBuffers): Discriminator {
    return {
      parameters: mapParameters(this.#weights, (parameter) => parameter.read()),
      state: {
        runningMean_K: staged.latest(this.#mean),
        runningVariance_K: staged.latest(this.#variance),
        us: this.#us.map((u) => staged.latest(u)),
      },
    };
  }

  stage(staged: StagedBuffers, { runningMean_K, runningVariance_K, us }: DiscriminatorState): void {
    staged.stage(this.#mean, runningMean_K);
    staged.stage(this.#variance, runningVariance_K);
    for (const [layer, u_K] of us.entries()) staged.stage(this.#us[layer]!, u_K);
  }

  parameter(name: DiscriminatorParameter): Parameter {
    return this.#weights[name];
  }
}

/** The start of a run: PyTorch's defaults, as the official code has them; gamma is 0. */
export function discriminatorWeights(seed: number, classes: number, width = WIDTH): WeightSource {
  const shapes: Readonly<Record<string, readonly number[]>> = discriminatorShapes(classes, width);
  return uniformWeights(seed, (name) => {
    const layer = name.slice(DISCRIMINATOR.length + 1).replace(/\.(weight|bias)$/, '');
    const kernel = shapes[`${layer}.weight`];
    if (kernel?.length !== 4) return null;
    return kernel.slice(0, -1).reduce((product, length) => product * length, 1);
  });
}

/** [R, S, C, K] as PyTorch's [K, C, R, S]. */
function officialShape(shape: readonly number[]): readonly number[] {
  return shape.length === 4 ? [3, 2, 0, 1].map((axis) => shape[axis]!) : shape;
}

function roleOf(name: DiscriminatorParameter, shape: readonly number[]): EntryRole {
  if (shape.length === 4) return 'convolution';
  if (name === 'preprocess_additional.weight') return 'norm_scale';
  return name === 'preprocess_additional.bias' ? 'norm_offset' : 'bias';
}
