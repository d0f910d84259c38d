/** bench/transport's load generator, made of tritonclient, against the server that the bench measures. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  engineOnCpu,
  type MeasuredProcess,
  startSide,
} from '../../../bench/support/measuredProcess.js';
import { ensureTritonclient } from '../../../bench/support/peerPackages.js';
import type { LoadAnswer } from '../../../bench/transport/inference/studentClient.js';
import { MODEL, namedShapes } from '../../../bench/transport/inference/inferenceCases.js';

const BENCH = new URL('../../../bench/transport/inference/measureInference.ts', import.meta.url)
  .href;
const SIZE = { height: 8, width: 8, classes: 3, channels: 16 } as const;

let server: MeasuredProcess;
let start: (shapes: Readonly<Record<string, readonly number[]>>) => MeasuredProcess;

before(async () => {
  const PYTHONPATH = await ensureTritonclient((line) => process.stderr.write(`${line}\n`));
  server = startSide(BENCH, '../answerServer.ts', [JSON.stringify(SIZE)], engineOnCpu());
  const { port } = await server.first<{ port: number }>();
  start = (shapes) => {
    const args = [
      `127.0.0.1:${port}`,
      MODEL,
      `${SIZE.height}`,
      `${SIZE.width}`,
      JSON.stringify(shapes),
    ];
    return startSide(BENCH, 'inferClient.py', args, { ...process.env, PYTHONPATH });
  };
});
after(() => server?.close());

for (const stream of [false, true]) {
  test(`as many answers as it is asked for, ${stream ? 'on a stream' : 'call by call'}`, async () => {
    const client = start(namedShapes(SIZE));
    assert.match((await client.first<{ engine: string }>()).engine, /^tritonclient \d/);
    for (const ahead of [1, 5]) {
      const { ms, latenciesMs } = await client.ask<LoadAnswer>({ answers: 12, ahead, stream });
      assert.equal(latenciesMs.length, 12);
      assert.ok(
        latenciesMs.every((each) => each > 0 && each <= ms),
        `${ms}: ${latenciesMs}`,
      );
    }
    await client.close();
  });
}

test('it ends where an answer has another shape than it was told', async () => {
  const client = start({ ...namedShapes(SIZE), logits: [1, 8, 8, 4] });
  await client.first();
  const asked = client.ask<LoadAnswer>({ answers: 1, ahead: 1, stream: false });
  await assert.rejects(asked, /logits: \(1, 8, 8, 3\) came, wanted \[1, 8, 8, 4\]/);
});
