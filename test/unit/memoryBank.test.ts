import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type BankChoices, drawnChoices } from '../../src/memory/choices.js';
import type { BankOptions } from '../../src/memory/memoryBank.js';
import { choosePixels, PixelMemoryBank } from '../../src/memory/pixelMemoryBank.js';
import { RegionMemoryBank } from '../../src/memory/regionMemoryBank.js';
import { place } from '../../src/memory/ring.js';
import type { StoredRows } from '../../src/memory/rowStore.js';
import { drawsFor } from '../../src/random/draws.js';
import { decodeHalf } from '../../src/wire/half.js';

const OPTIONS: BankOptions = {
  classes: 3,
  size: 4,
  channels: 2,
  precision: 'fp32',
  ringWrap: 'ring',
  sampling: 'filled',
};

/** Unit rows at the given angles in degrees. */
const rows = (...degrees: number[]) =>
  Float32Array.from(
    degrees.flatMap((d) => [Math.cos((d * Math.PI) / 180), Math.sin((d * Math.PI) / 180)]),
  );

/** Stored rows as numbers. */
const floats = (data: StoredRows) => (data instanceof Float32Array ? data : decodeHalf(data));

/** The angles of sampled or stored rows, in degrees, rounded. */
const angles = (data: StoredRows) => {
  const values = floats(data);
  return Array.from({ length: values.length / 2 }, (_, i) =>
    Math.round((Math.atan2(values[2 * i + 1]!, values[2 * i]!) * 180) / Math.PI),
  );
};

/** Takes the first entries in order. */
const first = (_class: number, _n: number, take: number) =>
  Int32Array.from({ length: take }, (_, i) => i);
const IN_ORDER: BankChoices = {
  enqueue: (_image, c, n, take) => first(c, n, take),
  samplePixels: first,
  sampleRegions: first,
};

const snapshot = (bank: PixelMemoryBank) =>
  [...bank.exportState()].map(([name, { data }]) => [name, [...data]]);

describe('place', () => {
  it('wraps around the end of a ring', () => {
    const { slots, after } = place({ size: 5, pointer: 3, fill: 3 }, 4, 'ring');
    assert.deepEqual([...slots], [3, 4, 0, 1]);
    assert.deepEqual(after, { size: 5, pointer: 2, fill: 5 });
  });

  it('overwrites the last rows like the reference, also when rows end exactly at the end', () => {
    const beyond = place({ size: 5, pointer: 3, fill: 3 }, 4, 'reference');
    assert.deepEqual([...beyond.slots], [1, 2, 3, 4]);
    assert.deepEqual(beyond.after, { size: 5, pointer: 0, fill: 5 });
    const exact = place({ size: 5, pointer: 3, fill: 3 }, 2, 'reference');
    assert.deepEqual([[...exact.slots], exact.after.pointer], [[3, 4], 0]);
    const inside = place({ size: 5, pointer: 0, fill: 5 }, 2, 'reference');
    assert.deepEqual(inside.after, { size: 5, pointer: 2, fill: 5 });
    assert.throws(() => place({ size: 2, pointer: 0, fill: 0 }, 3, 'reference'), /3 given/);
  });
});

describe('memory banks', () => {
  it('store unit rows separately for each class, and wrap', () => {
    const bank = new PixelMemoryBank(OPTIONS);
    bank.stage(
      1,
      rows(10, 20, 30).map((value) => 5 * value),
    );
    bank.stage(1, rows(40, 50));
    bank.stage(2, rows(90));
    const sampled = bank.sample(4, IN_ORDER);
    assert.equal(sampled.count, 5);
    assert.deepEqual(angles(sampled.data), [50, 20, 30, 40, 90]);
    assert.deepEqual(
      [0, 1, 2].map((c) => bank.fill(c)),
      [0, 4, 1],
    );
    assert.equal(bank.fillRatio, 5 / 12);
    assert.ok(
      Math.abs(Math.hypot(sampled.data[2]!, sampled.data[3]!) - 1) < 1e-6,
      `drawn ${sampled.data}`,
    );
  });

  it('keep the newest rows when more are added than fit', () => {
    const bank = new RegionMemoryBank(OPTIONS);
    bank.stage(0, rows(1, 2, 3, 4, 5, 6));
    assert.deepEqual(angles(bank.sample(9, IN_ORDER).data), [5, 6, 3, 4]);
  });

  it('sample without replacement, at most the rows there are', () => {
    const bank = new PixelMemoryBank({ ...OPTIONS, size: 50 });
    bank.stage(0, rows(...Array.from({ length: 30 }, (_, i) => i)));
    bank.stage(2, rows(100));
    for (let step = 0; step < 20; step++) {
      const { data, count } = bank.sample(20, drawnChoices(3, step, 0));
      assert.equal(count, 21);
      assert.equal(new Set(angles(data)).size, 21);
    }
    const all = angles(bank.sample(1000, drawnChoices(3, 0, 0)).data).sort((a, b) => a - b);
    assert.deepEqual(all, [...Array.from({ length: 30 }, (_, i) => i), 100]);
  });

  it('draw the same for a step regardless of earlier steps', () => {
    const choose = () => drawnChoices(3, 5, 1).samplePixels(0, 1000, 10);
    assert.deepEqual(choose(), choose());
    assert.notDeepEqual(choose(), drawnChoices(3, 5, 0).samplePixels(0, 1000, 10));
    assert.notDeepEqual(choose(), drawnChoices(3, 5, 1).sampleRegions(0, 1000, 10));
  });

  it('sample with one permutation over all slots in reference mode', () => {
    const bank = new PixelMemoryBank({ ...OPTIONS, sampling: 'reference' });
    bank.randomize(drawsFor(1, 'test'));
    bank.stage(1, rows(10));
    const calls: number[][] = [];
    const { data, count } = bank.sample(2, {
      ...IN_ORDER,
      samplePixels: (c, n, take) => {
        calls.push([c, n, take]);
        return Int32Array.of(3, 0);
      },
    });
    assert.deepEqual(calls, [[0, 4, 2]]);
    assert.equal(count, 6);
    assert.equal(angles(data)[3], 10);
    assert.ok(Math.abs(Math.hypot(data[0]!, data[1]!) - 1) < 1e-6, `drawn ${data}`);
    assert.equal(bank.fill(0), 0);
  });

  it('let samples see staged rows, and undo them completely on discard', () => {
    for (const precision of ['fp32', 'fp16'] as const) {
      const bank = new PixelMemoryBank({ ...OPTIONS, precision });
      bank.stage(0, rows(1, 2, 3));
      bank.commit();
      const before = snapshot(bank);
      bank.stage(0, rows(4, 5, 6, 7, 8));
      bank.stage(0, rows(9));
      bank.stage(1, rows(60));
      assert.deepEqual(angles(bank.sample(4, IN_ORDER).data), [9, 6, 7, 8, 60]);
      assert.throws(() => bank.exportState(), /staged/);
      bank.discard();
      assert.deepEqual(snapshot(bank), before);
      bank.discard();
      assert.deepEqual(snapshot(bank), before);
    }
  });

  it('are restored from their exported state', () => {
    for (const precision of ['fp32', 'fp16'] as const) {
      const options = { ...OPTIONS, precision };
      const [bank, other] = [new PixelMemoryBank(options), new PixelMemoryBank(options)];
      bank.stage(0, rows(1, 2, 3, 4, 5));
      bank.stage(2, rows(70));
      bank.commit();
      other.importState(bank.exportState());
      for (const each of [bank, other]) {
        each.stage(0, rows(6));
        each.commit();
      }
      assert.deepEqual(snapshot(other), snapshot(bank));
      assert.equal(
        other.exportState().get('pixel_queue')!.dtype,
        precision === 'fp32' ? 'F32' : 'F16',
      );
    }
  });

  it('refuse a state that does not fit, and keep the present one', () => {
    const bank = new PixelMemoryBank(OPTIONS);
    bank.stage(0, rows(1));
    bank.commit();
    const before = snapshot(bank);
    const larger = new PixelMemoryBank({ ...OPTIONS, size: 5 }).exportState();
    assert.throws(
      () => bank.importState(larger),
      /pixel_queue: F32 \[3,5,2\] given, wanted F32 \[3,4,2\]/,
    );
    const regions = new RegionMemoryBank(OPTIONS).exportState();
    assert.throws(() => bank.importState(regions), /pixel_queue: not in the state/);
    const bad = new Map(bank.exportState());
    bad.set('pixel_ptr', { dtype: 'I32', shape: [3], data: new Uint8Array(12).fill(9) });
    assert.throws(() => bank.importState(bad), /class 0 has pointer/);
    assert.deepEqual(snapshot(bank), before);
  });

  it('keep zero vectors zero, and fp16 rows within their precision', () => {
    const bank = new PixelMemoryBank({ ...OPTIONS, precision: 'fp16' });
    bank.stage(0, Float32Array.of(0, 0, 3, 4));
    const stored = bank.sample(2, IN_ORDER).data;
    const data = floats(stored);
    assert.ok(stored instanceof Uint16Array, 'rows became floats on the host');
    assert.deepEqual([data[0], data[1]], [0, 0]);
    assert.ok(
      Math.abs(data[2]! - 0.6) < 2 ** -11 && Math.abs(data[3]! - 0.8) < 2 ** -11,
      `drawn ${data}`,
    );
  });

  it('refuse unknown classes and incomplete rows', () => {
    const bank = new PixelMemoryBank(OPTIONS);
    assert.throws(() => bank.stage(3, rows(1)), /class: 3/);
    assert.throws(
      () => bank.stage(0, new Float32Array(3)),
      /3 values given, wanted a multiple of 2/,
    );
  });
});

describe('choosePixels', () => {
  it('picks pixels of the class, or, like the reference, of the whole image', () => {
    const ids = Int32Array.of(4, 8, 15, 16);
    assert.deepEqual([...choosePixels(ids, Int32Array.of(2, 0), 'class')], [15, 4]);
    assert.deepEqual([...choosePixels(ids, Int32Array.of(2, 0), 'reference')], [2, 0]);
  });
});
