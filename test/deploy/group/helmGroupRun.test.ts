/** The rendered pods of a group run: each with its index, at addresses of this machine. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { freeAddresses } from '../../../services/student/group/freeAddresses.js';
import type { CirkdProcess } from '../../support/commands/cirkdProcess.js';
import { pods, RELEASE, render, VARIANTS } from '../../support/deploy/chart.js';
import type { KubeObject } from '../../support/deploy/kube.js';
import { startContainer } from '../../support/deploy/renderedContainer.js';

const WORKERS = 2;
const STEPS = 12;

const folder = mkdtempSync(join(tmpdir(), 'cirkd-chart-group-'));
const processes: CirkdProcess[] = [];
after(() => {
  for (const one of processes) one.kill();
  rmSync(folder, { recursive: true, force: true });
});

/** What the Job controller, the kubelet and DNS make of the container's environment. */
function environmentOf(
  objects: readonly KubeObject[],
  index: number,
  addresses: readonly string[],
): Record<string, string> {
  const { env = [] } = pods(objects).get('student')!.spec.containers[0]!;
  const filled: Record<string, string> = {};
  for (const { name, value, valueFrom } of env) {
    const text = valueFrom?.fieldRef.fieldPath.includes('job-completion-index')
      ? String(index)
      : value!;
    filled[name] = text
      .replaceAll(/\$\((\w+)\)/g, (_, other: string) => filled[other]!)
      .replaceAll(
        /[\w-]+-(\d+)\.[\w.-]+\.svc:2222/g,
        (_, rank: string) => addresses[Number(rank)]!,
      );
  }
  return filled;
}

/** All ranks at once, as a Job with parallelism = completions starts them. */
async function startRanks(
  objects: readonly KubeObject[],
  teacher: string,
): Promise<CirkdProcess[]> {
  const addresses = await freeAddresses(WORKERS);
  const runs = join(folder, 'runs');
  const started = addresses.map((_, index) =>
    startContainer(
      objects,
      'student',
      join(folder, `pod-${index}`),
      [
        ...[`run.directory=${runs}`, `teacher.addresses=["${teacher}"]`, 'metrics.port=0'],
        ...['metrics.lingerMs=0', `train.steps=${STEPS}`, 'train.threads=1', 'data.workers=1'],
        ...['run.logEverySteps=1', 'run.checkpointEverySteps=2', 'evaluate.pictures=0'],
        'distributed.timeoutMs=5000',
      ],
      environmentOf(objects, index, addresses),
    ),
  );
  processes.push(...started);
  return started;
}

test('as rendered: a rank is killed, the other ends with 8; both come back, resume, and rank 0 has the run', async () => {
  const sets = `student.workers=${WORKERS},student.run.accessMode=ReadWriteMany`;
  const objects = await render(...VARIANTS.try, '--set', sets);
  const ports = ['listen.port=0', 'listen.healthPort=0', 'metrics.port=0'];
  const teacher = startContainer(objects, 'teacher', join(folder, 'teacher'), ports);
  processes.push(teacher);
  const [, port] = await teacher.says(/"grpc":"[^"]*:(\d+)"/);
  const address = `127.0.0.1:${port}`;

  const first = await startRanks(objects, address);
  await first[0]!.says(new RegExp(`step [3-9]/${STEPS} `));
  first[1]!.kill();
  assert.equal(await first[0]!.exit(), 8, first[0]!.stderr);
  assert.match(first[0]!.stderr, /rank 1/);

  const second = await startRanks(objects, address);
  for (const rank of second) assert.equal(await rank.exit(), 0, rank.stderr);
  for (const { stderr } of second) {
    const [, step] = /"firstStep":(\d+)/.exec(stderr)!;
    assert.ok(Number(step) >= 2 && Number(step) < STEPS, step);
  }
  assert.match(second[1]!.stdout, /rank 0 has its folder/);
  const states = second.map(({ stderr }) => /"state":"([0-9a-f]{64})"/.exec(stderr)![1]);
  assert.equal(states[0], states[1]);
  const summary = join(folder, 'runs', RELEASE, 'summary.json');
  assert.equal(JSON.parse(readFileSync(summary, 'utf8')).steps, STEPS);

  // As docs/distributed.md says of a rank 0 that was killed before its report.
  rmSync(summary);
  for (const rank of await startRanks(objects, address)) {
    assert.equal(await rank.exit(), 0, rank.stderr);
    assert.match(rank.stderr, new RegExp(`"firstStep":${STEPS}`));
  }
  assert.equal(JSON.parse(readFileSync(summary, 'utf8')).steps, STEPS);
});
