import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeDemoFolder } from '../../services/demo/demoFolder.js';
import { lagOf, watchLag } from '../../services/demo/lagProbe.js';
import { learningRateChart, lossChart } from '../../src/report/runCharts.js';
import { evaluationRecords, stepRecords, throughput } from '../../src/report/stepRecords.js';
import { textTable } from '../../src/report/textTable.js';
import { createRegistry } from '../../src/telemetry/registry.js';
import { eventually } from '../support/eventually.js';

test('an older demo is removed or kept; any other folder is left alone', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'cirkd-folder-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const out = join(root, 'demo');
  await makeDemoFolder(out, false);
  writeFileSync(join(out, 'old'), '');
  await makeDemoFolder(out, false);
  assert.ok(!existsSync(join(out, 'old')), 'the old demo is still there');
  writeFileSync(join(out, 'kept'), '');
  await makeDemoFolder(out, true);
  assert.ok(
    !existsSync(join(out, 'kept')) && existsSync(join(root, 'demo-1', 'kept')),
    'the kept demo was not renamed',
  );

  const foreign = join(root, 'thesis');
  mkdirSync(foreign);
  writeFileSync(join(foreign, 'chapter'), '');
  await assert.rejects(makeDemoFolder(foreign, false), { name: 'UsageError', message: /thesis/ });
  assert.deepEqual(readdirSync(foreign), ['chapter']);
  await assert.rejects(makeDemoFolder(join(foreign, 'chapter'), false), { name: 'UsageError' });
});

test('the lag is read from the metrics page', async () => {
  assert.ok(
    (lagOf(await createRegistry().metrics()) ?? -1) >= 0,
    'no lag in a scrape of the registry',
  );
  assert.equal(lagOf('nodejs_eventloop_lag_p99_seconds 0.0105\n'), 0.0105);
  assert.equal(lagOf('nodejs_eventloop_lag_p99_seconds{app="a"} 2e-3\n'), 0.002);
  assert.equal(lagOf('# nodejs_eventloop_lag_p99_seconds 1\nother 2\n'), null);
});

test('a watch waits for the address, scrapes, and returns the last scrape', async (t) => {
  let scrapes = 0;
  const server = createServer((_, response) => {
    scrapes += 1;
    response.end(`nodejs_eventloop_lag_p99_seconds 0.0${scrapes}\n`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`;
  let asked = 0;
  const watch = watchLag(async () => (++asked < 3 ? null : url));
  await eventually(() => scrapes === 2);
  const { points, largest, lastScrape } = await watch.finish();
  assert.equal(asked, 3);
  assert.equal(largest, 0.02, 'the first scrape is of the start-up');
  assert.deepEqual(
    points.map(([, lag]) => lag),
    [0.02],
  );
  assert.equal(lastScrape, 'nodejs_eventloop_lag_p99_seconds 0.02\n');

  const nowhere = watchLag(async () => null);
  assert.deepEqual(await nowhere.finish(), { points: [], largest: null, lastScrape: null });
});

test('table columns are aligned', () => {
  const table = textTable({ columns: ['', 'a'], rows: [['mean IoU', '7.0 %']] });
  assert.equal(table, '               a\n────────────────\nmean IoU   7.0 %\n');
});

const EVENTS = [
  { kind: 'start', step: 0 },
  ...[1, 2].map((step) => ({
    kind: 'step',
    step,
    terms: { task: step === 1 ? 3 : 'NaN', memory_pixel: 0, total: 4 },
    learningRate: 0.1 / step,
    seconds: { total: 2, data: 0, teacher: 0.5, compute: 1.5 },
    samples: ['a', 'b', 'c'],
  })),
  { kind: 'evaluation', step: 2, miou: 0.25, pixelAccuracy: 0.5 },
];

test('events become figures and curves; missing data is not drawn', () => {
  const steps = stepRecords(EVENTS);
  assert.equal(steps[0]?.terms['task'], 3);
  assert.ok(Number.isNaN(steps[1]?.terms['task']), String(steps[1]?.terms['task']));
  assert.deepEqual(throughput(steps), { imagesPerSecond: 1.5, teacherShare: 0.25 });
  assert.deepEqual(throughput([]), { imagesPerSecond: 0, teacherShare: 0 });
  assert.deepEqual(evaluationRecords(EVENTS), [
    { step: 2, miou: 0.25, pixelAccuracy: 0.5, iou: null },
  ]);
  const { series } = lossChart(steps);
  assert.deepEqual(
    series.map(({ name }) => name),
    ['task', 'total'],
  );
  assert.deepEqual(learningRateChart(steps).series[0]?.points, [
    [1, 0.1],
    [2, 0.05],
  ]);
});
