/** The bench of the Open Inference Protocol: what is asked for, its figures and goals, and the Distill side once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LoadAnswer } from '../../bench/transport/inference/studentClient.js';
import {
  answerBytesOf,
  fixedModel,
  namedShapes,
  SIZES,
} from '../../bench/transport/inference/inferenceCases.js';
import { goals, inferenceSection } from '../../bench/transport/inference/inferencePage.js';
import {
  answerRates,
  DISTILL,
  type InferenceSide,
  latencyMs,
  mibRates,
  OURS,
  TRITON,
} from '../../bench/transport/inference/inferenceResults.js';
import { engineOnCpu, startSide } from '../../bench/support/measuredProcess.js';

const [LARGE, SMALL] = SIZES as [(typeof SIZES)[number], (typeof SIZES)[number]];
const BENCH = new URL('../../bench/transport/inference/measureInference.ts', import.meta.url).href;

/** In two rounds, of which each moved 10 answers. */
function side(name: string, ms: number, ahead = 1, size = LARGE): InferenceSide {
  return {
    ...{ name, size, ahead, answers: 10, answerBytes: 2 ** 20 },
    ...{ ms: [ms, ms], cpuMs: [40, 60], serverCpuMs: [20, 30], latenciesMs: [1, 2, 3, 4, 100] },
  };
}

const sides = [
  side(DISTILL, 100),
  side(OURS, 200),
  side(TRITON, 100),
  side(OURS, 50, 12),
  side(TRITON, 100, 12),
  side(OURS, 50, 1, SMALL),
];

test("Triton's model gives as many bytes as our answer has", () => {
  for (const size of SIZES) {
    const numbers = Object.values(namedShapes(size)).map((shape) => shape.reduce((a, b) => a * b));
    assert.equal(4 * numbers.reduce((a, b) => a + b), answerBytesOf(size));
    assert.deepEqual(fixedModel(size).fixed, Object.values(namedShapes(size)));
  }
  assert.deepEqual(Object.keys(namedShapes(LARGE)), ['logits', 'embedding', 'feature_norm']);
});

test('rates, latencies and goals', () => {
  const [, ours] = sides;
  assert.deepEqual(answerRates(ours!), [50, 50]);
  assert.deepEqual(mibRates(ours!), [50, 50]);
  assert.equal(latencyMs(ours!).median, 3);
  assert.ok(latencyMs(ours!).p99 > 90 && latencyMs(ours!).p99 < 100);
  // Only beside a Triton of the same size and with as many images under way.
  assert.deepEqual(
    goals(sides).map(([, ...cells]) => cells),
    [
      ['≥ 1', '0.500', '**no**'],
      ['≥ 1', '2.00', 'yes'],
    ],
  );
});

test('the section has every side, and what it is beside Distill', () => {
  const text = inferenceSection({ sides, versions: ['tritonclient 1', 'Triton 2'] });
  assert.match(text, /^tritonclient 1, Triton 2\./);
  const rows = text
    .split('\n')
    .filter((line) => /^\| (Distill|Model|Triton).* \| \d+ \| /.test(line));
  assert.equal(rows.length, sides.length, text);
  assert.match(rows[1]!, /\| 0\.50 \(0\.50–0\.50\) \|/);
  // Nothing to compare with.
  assert.match(rows.at(-1)!, /\| {2}\| \d/);
});

test("our student's side moves what it is asked for", async (t) => {
  const size = { height: 8, width: 8, classes: 3, channels: 16 };
  const text = JSON.stringify(size);
  const server = startSide(BENCH, '../answerServer.ts', [text], engineOnCpu());
  t.after(() => server.close());
  const { port } = await server.first<{ port: number }>();
  const client = startSide(BENCH, 'studentClient.ts', [`127.0.0.1:${port}`, text], engineOnCpu());
  await client.first();
  const { ms, latenciesMs } = await client.ask<LoadAnswer>({ answers: 7, ahead: 3, stream: false });
  await client.close();
  assert.equal(latenciesMs.length, 7);
  assert.ok(
    latenciesMs.every((each) => each > 0 && each <= ms),
    `${ms}: ${latenciesMs}`,
  );
});
