/** The wire's bench: sizes of what is moved, its figures and goals, and each kind of side once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bytesOfAnswer,
  caseName,
  GOAL_SIZE,
  messagesOfAnswer,
  WIRE_CASES,
} from '../../bench/transport/cases.js';
import { goalTable, section } from '../../bench/transport/page.js';
import { Pair } from '../../bench/transport/pair.js';
import {
  BARE,
  BARE_LESS_GARBAGE,
  bestCase,
  CORE,
  CORE_WHOLE,
  ratioOf,
  type SideResult,
  type TransportResults,
} from '../../bench/transport/results.js';

const FP32 = bytesOfAnswer(GOAL_SIZE, WIRE_CASES[0]!);

/** In two rounds, of which each moved 10 answers. */
function side(name: string, ms: [number, number]): SideResult {
  const moved = { answers: 10, answerBytes: FP32, fp32Bytes: FP32 };
  return { name, ...moved, ms, cpuMs: [40, 60] };
}

const results: TransportResults = {
  date: '2026-01-02T03:04:05.000Z',
  minutes: 5,
  machine: { processor: 'A processor', memoryGiB: 24, node: '20.0.0' },
  threads: 2,
  engines: { cirkd: 'grpc-js', torch: 'grpcio 1' },
  size: GOAL_SIZE,
  sides: [
    side(BARE, [100, 100]),
    side(BARE_LESS_GARBAGE, [80, 80]),
    side(CORE, [60, 60]),
    side(CORE_WHOLE, [50, 50]),
    ...WIRE_CASES.map((each, index) => side(caseName(each), [110 - 18 * index, 110 - 18 * index])),
  ],
};

test('an answer is sent in whole rows of at most 1 MiB, and its messages hold all of it', () => {
  for (const wireCase of WIRE_CASES) {
    const messages = messagesOfAnswer(GOAL_SIZE, wireCase);
    const total = messages.reduce((sum, bytes) => sum + bytes, 0);
    assert.equal(total, bytesOfAnswer(GOAL_SIZE, wireCase), caseName(wireCase));
    assert.ok(Math.max(...messages) <= 2 ** 20, `${messages}`);
  }
  // Logits 64 * 128 * 19, embedding 64 * 128 * 512, norms 64 * 128, of 4 bytes each.
  assert.equal(FP32, 64 * 128 * (19 + 512 + 1) * 4);
});

test('goals: the C core is taken at its better message size, cirkd at its best way of sending', () => {
  assert.equal(bestCase(results).name, 'int8, logits rebuilt');
  const rows = goalTable(results)
    .split('\n')
    .slice(2)
    .map((row) => row.split('|').map((cell) => cell.trim()));
  assert.deepEqual(
    rows.map(([, , ...cells]) => cells.slice(0, 3)),
    [
      ['≥ 0.9', '0.909', 'yes'],
      ['≥ 2', '2.50', 'yes'],
    ],
  );
  assert.match(rows[1]![1]!, /int8, logits rebuilt.*an answer a message$/);
  const { ratio, quartiles } = ratioOf(side('x', [50, 200]), side('y', [100, 100]));
  // Rates 2 and 0.5 of the peer's.
  assert.deepEqual([ratio, quartiles], [1.25, [0.875, 1.625]]);
});

test('the section of the page has every side', () => {
  const text = section(results);
  assert.match(text, /\n2 rounds|; 2 rounds\./);
  for (const { name } of results.sides) assert.ok(text.includes(`| ${name} |`), `${name}: no row`);
});

test('each side transfers the requested bytes: cirkd in every way of sending, grpc-js plain bytes', async (t) => {
  const size = { height: 8, width: 8, classes: 3, channels: 16 };
  const ours = await Pair.cirkd(size);
  t.after(() => ours.close());
  for (const wireCase of WIRE_CASES) {
    assert.ok((await ours.run({ wireCase, images: 5 })) > 0, caseName(wireCase));
  }
  const bare = await Pair.bare('less garbage');
  t.after(() => bare.close());
  // The client throws, and so ends, where other bytes come than it asked for.
  assert.ok((await bare.run({ messages: [1000, 7], answers: 3 })) > 0);
  assert.ok(ours.cpuMs() > 0 && bare.cpuMs() > 0);
});
