/** How a rank's own time and its lag are measured, on a group that is played to it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lagSeconds, Pace } from '../../services/student/group/pace.js';
import { type Collective, type CollectiveUse, NO_USE } from '../../src/collectives/collective.js';
import { singleProcess } from '../../src/collectives/single.js';

test('the lag is the time beyond the median, of an even number the earlier of the two', () => {
  assert.deepEqual(lagSeconds([1, 3]), [0, 2]);
  assert.deepEqual(lagSeconds([5, 1, 2]), [3, 0, 0]);
  // Two slow ranks of four, and one fast one.
  assert.deepEqual(lagSeconds([4, 1, 4, 1]), [3, 0, 3, 0]);
  assert.deepEqual(lagSeconds([2, 2, 0, 2]), [0, 0, 0, 0]);
});

/** The other rank has always taken a second, and says go. */
class PlayedGroup implements Collective {
  readonly rank = 0;
  readonly size = 2;
  readonly told: number[] = [];
  #use: CollectiveUse = NO_USE;

  use(seconds: number, reduced: number): void {
    const bytes = { ...NO_USE.bytes, all_reduce: reduced };
    this.#use = { ...NO_USE, seconds, bytes, calls: 1 };
  }

  takeUse(): CollectiveUse {
    const use = this.#use;
    this.#use = NO_USE;
    return use;
  }

  allGatherBytes(bytes: Uint8Array): Uint8Array[] {
    const own = Buffer.from(bytes);
    this.told.push(own.readDoubleLE(1));
    const other = Buffer.from(own);
    other.writeUInt8(0);
    other.writeDoubleLE(1, 1);
    this.use(0.25, 0);
    return [own, other];
  }

  allReduce = () => assert.fail();
  startAllReduce = () => assert.fail();
  allGather = () => assert.fail();
  broadcast = () => assert.fail();
  broadcastInto = () => assert.fail();
  barrier = () => assert.fail();
  close(): void {}
}

const near = (got: number, wanted: number) => assert.ok(Math.abs(got - wanted) < 0.05, `${got}`);

test('own time: what was waited for and computed, not what collectives took', () => {
  const group = new PlayedGroup();
  group.use(60, 1e6);
  const pace = new Pace(group);
  pace.waited(3);
  // Played as negative, since the work itself takes no time.
  pace.measure(() => group.use(-0.5, 40));
  assert.equal(pace.agree('go'), 'go');
  near(group.told[0]!, 3.5);
  pace.measure(() => group.use(0, 400));
  const figures = pace.takeFigures()!;
  near(figures.use.seconds, -0.25);
  assert.equal(figures.use.bytes.all_reduce, 440, 'the start counts for no step');
  near(figures.lagSeconds[0]!, 2.5);
  assert.equal(figures.lagSeconds[1], 0);
});

test('a step that waits for another answer: its time is told with the next agreement, too', () => {
  const group = new PlayedGroup();
  const pace = new Pace(group);
  pace.waited(2);
  assert.equal(pace.agree('ask_again'), 'ask_again');
  pace.waited(4);
  assert.equal(pace.agree('go'), 'go');
  pace.waited(1);
  assert.equal(pace.agree('go'), 'go');
  assert.deepEqual(group.told, [2, 6, 1]);
});

test('a single process has no figures', () => {
  const pace = new Pace(singleProcess);
  assert.equal(pace.agree('go'), 'go');
  assert.equal(
    pace.measure(() => 'result'),
    'result',
  );
  assert.equal(pace.takeFigures(), null);
});
