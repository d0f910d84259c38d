/** The rendered configs and commands run: a fleet and a student as the chart of values/try.yaml has them. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pods, RELEASE, render, VARIANTS } from '../support/deploy/chart.js';
import { configText } from '../support/deploy/renderedConfigs.js';
import { CirkdProcess } from '../support/cirkdProcess.js';
import { eventually } from '../support/eventually.js';
import { healthOf } from '../support/grpcProbes.js';

const STEPS = 3;

const folder = mkdtempSync(join(tmpdir(), 'cirkd-chart-run-'));
const processes: CirkdProcess[] = [];
after(() => {
  for (const one of processes) one.kill();
  rmSync(folder, { recursive: true, force: true });
});

const objects = await render(...VARIANTS.try);

/** The container's arguments, with the config where this test put it. */
function argsOf(part: 'teacher' | 'student'): string[] {
  const file = join(folder, `${part}.yaml`);
  writeFileSync(file, configText(objects, part));
  const { args } = pods(objects).get(part)!.spec.containers[0]!;
  return args.map((arg) => (arg === `/etc/cirkd/config/${part}.yaml` ? file : arg));
}

function start(args: readonly string[], settings: readonly string[]): CirkdProcess {
  const started = new CirkdProcess(...args, ...settings.flatMap((one) => ['--set', one]));
  processes.push(started);
  return started;
}

test('teacher and student train as rendered; the same command again goes on with the run', async () => {
  const ports = ['listen.port=0', 'listen.healthPort=0', 'metrics.port=0'];
  const teacher = start(argsOf('teacher'), ports);
  const [, grpc, health] = await teacher.says(/"grpc":"[^"]*:(\d+)".*"health":"[^"]*:(\d+)"/);
  await eventually(
    () => teacher.stdout.includes('teacher ready') || teacher.exitCode !== undefined,
  );
  assert.equal(await healthOf(Number(health), ''), 'SERVING');

  // Where a pod finds these by volumes and DNS.
  const here = [
    ...[`run.directory=${folder}`, `teacher.addresses=["127.0.0.1:${grpc}"]`],
    ...['metrics.port=0', 'metrics.lingerMs=0', `train.steps=${STEPS}`, 'evaluate.pictures=0'],
  ];
  const student = start(argsOf('student'), here);
  assert.equal(await student.exit(), 0, student.stderr);
  const run = join(folder, RELEASE);
  assert.equal(JSON.parse(readFileSync(join(run, 'summary.json'), 'utf8')).steps, STEPS);

  const again = start(argsOf('student'), here);
  assert.equal(await again.exit(), 0, again.stderr);
  assert.match(again.stderr, new RegExp(`"firstStep":${STEPS}`));

  teacher.signal('SIGTERM');
  assert.equal(await teacher.exit(), 0);
});
