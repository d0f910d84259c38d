/** skd_holistic on several ranks that normalise together is that of one process with all images. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type {
  DiscriminatorParameter,
  DiscriminatorState,
} from '../../src/losses/adversarial/discriminatorParameters.js';
import { skdDiscriminator, skdHolistic } from '../../src/losses/adversarial/skdHolistic.js';
import {
  float32,
  numTensors,
  type RankGroup,
  readFloat32,
  scope,
  type Tensor,
} from '../../src/tensor/index.js';
import { inLockstep } from '../support/collectives/lockstep.js';
import {
  discriminator,
  names,
  SIZE,
  startValues,
  student,
  TILING,
  teacher,
} from '../support/numerics/smallDiscriminator.js';

const [IMAGES, ...MAP] = SIZE;
const RANKS = IMAGES;
const SHARES = Float32Array.of(0.3, 0.85);
/** Collectives of three forward passes and a gradient penalty, backward passes included. */
const GATHERS = 12;

/** This rank's images of all, or all of them. */
function partOf(values: Float32Array, rank: number | null): Tensor {
  if (rank === null) return float32(values.slice(), SIZE);
  const length = values.length / RANKS;
  return float32(values.slice(rank * length, (rank + 1) * length), [IMAGES / RANKS, ...MAP]);
}

interface Losses {
  readonly losses: readonly number[];
  readonly ofStudent: Float32Array;
  readonly gradients: ReadonlyMap<DiscriminatorParameter, Float32Array>;
  readonly state: readonly Float32Array[];
}

const numbersOf = ({ runningMean_K, runningVariance_K, us }: DiscriminatorState) =>
  [runningMean_K, runningVariance_K, ...us].map((tensor) => readFloat32(tensor).slice());

/** A whole step of the term, as comparedTerms makes it. */
function lossesOf(rank: number | null, ranks?: RankGroup): Losses {
  const start = { ...discriminator(startValues), ...(ranks === undefined ? {} : { ranks }) };
  const [own, other] = [partOf(student, rank), partOf(teacher, rank)];
  const { loss, gradient_NHWK, state } = skdHolistic(own, start, TILING);
  const shares_N = rank === null ? SHARES : SHARES.slice(rank, rank + 1);
  const objective = { kind: 'wgan-gp', penalty: 10, shares_N } as const;
  const trained = skdDiscriminator(own, other, { ...start, state }, TILING, objective);
  return {
    losses: [loss, trained.loss],
    ofStudent: readFloat32(gradient_NHWK).slice(),
    gradients: new Map(names.map((name) => [name, readFloat32(trained.gradients[name]).slice()])),
    state: numbersOf(trained.state),
  };
}

const meanOf = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

const norm = (values: ArrayLike<number>) =>
  Math.sqrt(Array.from(values).reduce((sum, value) => sum + value ** 2, 0));

/** |a - b| / |b|, of |b| of at least `least`. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>, least = 1e-6): number {
  const off = Array.from(b, (value, i) => a[i]! - value);
  return norm(off) / Math.max(least, norm(b));
}

test('losses, gradients and state, with a gradient penalty', (t) => {
  const before = numTensors();
  const whole = scope(() => lossesOf(null));
  let calls = 0;
  const ranks = inLockstep(RANKS, GATHERS, (rank, group) => {
    calls = 0;
    const allGather = (x: Tensor) => {
      calls++;
      return group.allGather(x);
    };
    return lossesOf(rank, { ...group, allGather });
  });
  assert.ok(calls > 6 && calls <= GATHERS, `${calls} collectives`);
  assert.equal(numTensors(), before);
  for (const at of [0, 1]) {
    const mean = meanOf(ranks.map(({ losses }) => losses[at]!));
    assert.ok(Math.abs(mean - whole.losses[at]!) < 1e-4 * Math.abs(whole.losses[at]!), `${mean}`);
  }
  // The loss of a rank is the mean over its own images.
  const scale = 1 / RANKS;
  const joined = ranks.flatMap(({ ofStudent }) => Array.from(ofStudent, (value) => scale * value));
  const off = distance(joined, whole.ofStudent);
  t.diagnostic(`student ${off}`);
  assert.ok(off < 1e-3, `the student's gradient: ${off}`);
  // A bias of all keys alike moves no attention: its gradient is rounding alone.
  const least = 1e-3 * norm([...whole.gradients.values()].map(norm));
  for (const [name, wanted] of whole.gradients) {
    const means = wanted.map((_, i) => meanOf(ranks.map((each) => each.gradients.get(name)![i]!)));
    const apart = distance(means, wanted, least);
    assert.ok(apart < 2e-4, `${name}: ${apart}`);
  }
  const [first, second] = ranks;
  assert.deepEqual(first!.state, second!.state);
  for (const [i, wanted] of whole.state.entries()) {
    assert.ok(distance(first!.state[i]!, wanted) < 1e-5, `state ${i}`);
  }
});
