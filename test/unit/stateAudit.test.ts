/** Whether ranks notice that their weights have come to differ. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StudentWork } from '../../services/cli/bench/studentWork.js';
import type { Workload } from '../../services/cli/bench/workload.js';
import type { Collective } from '../../src/collectives/collective.js';
import { singleProcess } from '../../src/collectives/single.js';
import { float32, ops, Parameter, readFloat32, scope } from '../../src/tensor/index.js';
import { StateAudit } from '../../src/train/stateAudit.js';

/** Changes the last bit of a number. */
function flip(parameter: Parameter, element: number): void {
  const values = parameter.toFloat32().slice();
  const bits = new Int32Array(values.buffer);
  bits[element]! ^= 1;
  scope(() => parameter.assign(float32(values, parameter.shape)));
}

test('each bit is in one slice: a flipped one is seen within a round, and only in that slice', () => {
  const sizes = [3, 10, 1, 4, 2];
  const state = sizes.map(
    (size, i) =>
      new Parameter(
        `p${i}`,
        Float32Array.from({ length: size }, (_, k) => i + k),
        [size],
      ),
  );
  const audit = new StateAudit(state, 16);
  const { rounds } = audit;
  assert.ok(rounds >= 20 / 4 && rounds <= 8, `${rounds} slices of at most four numbers`);
  const all = (from: number) =>
    Array.from({ length: rounds }, (_, step) => audit.fingerprint(from + step));
  const before = all(0);
  assert.deepEqual(all(rounds), before, 'it begins again');
  const seen = new Set<number>();
  for (const parameter of state) {
    for (let element = 0; element < parameter.size; element++) {
      flip(parameter, element);
      const changed = all(0).flatMap((value, slice) => (value === before[slice] ? [] : [slice]));
      assert.equal(changed.length, 1, `${parameter.name} ${element}: slices ${changed}`);
      seen.add(changed[0]!);
      flip(parameter, element);
    }
  }
  assert.equal(seen.size, rounds);
  for (const parameter of state) parameter.dispose();
});

test('the ranks that differ from most are named, of two the other one than rank 0', () => {
  const state = ['first', 'last'].map((name) => new Parameter(name, new Float32Array(2), [2]));
  const audit = new StateAudit(state);
  audit.requireSame(3, [7, 7, 7]);
  for (const [fingerprints, message] of [
    [[7, 8, 7], /^step 3: rank 1 had another state than most ranks .*\(first to last\)/],
    [[8, 7, 7], /^step 3: rank 0 had another state than most ranks/],
    [[7, 8, 7, 9, 7], /^step 3: ranks 1, 3 had another state than most ranks/],
    [[7, 8], /^step 3: rank 1 had another state than rank 0 /],
    [[7, 7, 8, 8], /^step 3: ranks 2, 3 had another state than rank 0 /],
  ] as const) {
    assert.throws(() => audit.requireSame(3, fingerprints), { message });
  }
  for (const parameter of state) parameter.dispose();
});

const WORKLOAD: Workload = {
  ...({ model: 'psp_mobile', backbone: 'mobilenetv2', variant: 'v1', loss: 'cirkd' } as const),
  ...{ widthMultiplier: 0.125, classes: 3, images: 2, height: 32, width: 32, teacherChannels: 8 },
  bankRows: { pixel: 16, region: 4 },
};

/** Rank 0 of two; the other one gives in each exchange what `played` has, or what this one gives. */
class PlayedGroup {
  readonly given: Uint8Array[] = [];
  readonly #played: readonly Uint8Array[] | null;

  constructor(played: readonly Uint8Array[] | null = null) {
    this.#played = played;
  }

  get group(): Collective {
    return {
      ...{ ...singleProcess, size: 2 },
      allGather: (x) => ops.concat([x, x], 0),
      allGatherBytes: (bytes) => {
        const other = this.#played?.[this.given.length] ?? bytes;
        this.given.push(bytes.slice());
        return [bytes, other.slice()];
      },
      startAllReduce: (bucket) => {
        const values = bucket.map((tensor) => readFloat32(tensor).slice());
        const shapes = bucket.map(({ shape }) => shape);
        const end = () => values.map((each, i) => float32(each, shapes[i]!));
        return { end, abandon() {} };
      },
    };
  }
}

test("a step ends, and changes nothing, when another rank's state differs in a bit", () => {
  const bytesOf = (work: StudentWork) =>
    [...work.trainer.parts.network.stateDict().values()].map(({ data }) => Buffer.from(data));
  const healthy = new PlayedGroup();
  const twin = new StudentWork(WORKLOAD, healthy.group);
  for (let step = 0; step < 2; step++) twin.step();
  for (const isFlipped of [false, true]) {
    const work = new StudentWork(WORKLOAD, new PlayedGroup(healthy.given).group);
    work.step();
    if (isFlipped) flip(work.trainer.parts.network.parameters()[40]!, 3);
    const before = bytesOf(work);
    if (isFlipped) {
      assert.throws(() => work.step(), /^Error: step 1: rank 1 had another state than rank 0 /);
      assert.deepEqual(bytesOf(work), before);
    } else {
      work.step();
      assert.deepEqual(bytesOf(work), bytesOf(twin));
    }
    work.dispose();
  }
  twin.dispose();
});
