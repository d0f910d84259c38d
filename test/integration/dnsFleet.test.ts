/** A run whose teachers come and go behind a DNS name; and its log, from a step to the teachers. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { syntheticStreets } from '../../src/data/syntheticStreets.js';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { DnsServer } from '../support/connections/dnsServer.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';
import { tinyStudent } from '../support/training/tinyRun.js';
import { TrainedRun } from '../support/training/trainedRun.js';

const NAME = 'teachers.example';
const STEPS = 60;
const BATCH = 2;
const SAMPLES = 12;
const folder = mkdtempSync(join(tmpdir(), 'cirkd-dns-'));
const open: { kill(): void }[] = [];
after(() => {
  for (const one of open) one.kill();
  rmSync(folder, { recursive: true });
});

interface Line {
  readonly msg: string;
  readonly run?: string;
  readonly address?: string;
  readonly state?: string;
  readonly request?: number;
  readonly teacher?: string;
  readonly step?: number;
  readonly sample?: string;
  /** Of a teacher's batch. */
  readonly images?: readonly { readonly run: string; readonly request: number }[];
}

async function startTeacher(host: string, port: number): Promise<TeacherProcess> {
  const classes = syntheticStreets({
    ...{ split: 'train', samples: 1, seed: 1, height: 48, width: 96 },
  }).classNames.length;
  const settings = [`simulate.classes=${classes}`, 'simulate.featureChannels=8'];
  const flags = [
    'simulate.enabled=true',
    'simulate.latencyMs=5',
    'log.level=debug',
    `listen.host=${host}`,
    ...settings,
  ];
  const args = flags.flatMap((one) => ['--set', one]);
  const teacher = new TeacherProcess(...args, '--port', `${port}`);
  open.push(teacher);
  await teacher.ready();
  return teacher;
}

function startStudent(address: string): CirkdProcess {
  const settings = [
    ...['run.id=followed', `teacher.addresses=["${address}"]`, 'teacher.lookupIntervalMs=50'],
    ...[`train.steps=${STEPS}`, 'run.checkpointEverySteps=0', 'evaluate.pictures=0'],
    ...['log.level=debug', 'log.format=json'],
  ];
  const flags = settings.flatMap((one) => ['--set', one]);
  const student = new CirkdProcess('student', '--config', tinyStudent(folder), ...flags);
  open.push(student);
  return student;
}

const linesOf = ({ stderr }: { readonly stderr: string }): Line[] =>
  stderr
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line);

test('teachers join and leave mid-run: each image is answered once, and a step can be traced', async () => {
  const hosts = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];
  const one = await startTeacher(hosts[0]!, 0);
  const port = (await one.listening()).grpcPort;
  const others = await Promise.all(hosts.slice(1).map((host) => startTeacher(host, port)));
  const [first, second, third] = hosts.map((host) => `${host}:${port}`);
  const dns = await DnsServer.start({ [NAME]: hosts.slice(0, 2) });
  open.push({ kill: () => dns.close() });

  const student = startStudent(`dns://${dns.address}/${NAME}:${port}`);
  await student.says(/step 3\/60 /);
  dns.set(NAME, hosts.slice(1));
  await student.says(new RegExp(`"address":"${third}","state":"ready"`));
  assert.equal(await student.exit(), 0, student.stderr);

  const lines = linesOf(student);
  assert.deepEqual([...new Set(lines.map(({ run }) => run))], ['followed']);
  const attempts = lines.filter(({ msg }) => msg.startsWith('image '));
  const answered = attempts.filter(({ msg }) => msg === 'image answered');
  const ids = answered.map(({ request }) => request!).sort((a, b) => a - b);
  assert.deepEqual(
    ids,
    Array.from({ length: STEPS * BATCH }, (_, i) => i + 1),
  );
  assert.equal(attempts.length, 2 * answered.length);
  const by = (address: string | undefined) =>
    answered.filter(({ teacher }) => teacher === address).length;
  for (const address of [first, second, third]) assert.ok(by(address) > 0, `${address}: none`);

  for (const [i, teacher] of [one, ...others].entries()) {
    const batches = linesOf(teacher).filter(({ msg }) => msg === 'batch computed');
    const computed = batches.flatMap(({ images }) => images!.map(({ request }) => request));
    const asked = answered.filter((line) => line.teacher === `${hosts[i]}:${port}`);
    const runs = batches.flatMap(({ images }) => images!.map(({ run }) => run));
    assert.deepEqual([...new Set(runs)], ['followed']);
    assert.deepEqual(
      computed.sort((a, b) => a - b),
      asked.map(({ request }) => request).sort((a, b) => a! - b!),
    );
  }

  const leaves = lines.findIndex(
    ({ address, state }) => address === first && (state === 'leaving' || state === 'closed'),
  );
  const later = lines.slice(leaves).filter(({ teacher }) => teacher === first);
  assert.ok(leaves > 0, 'the first teacher did not leave');
  assert.ok(
    later.every(({ msg }) => msg === 'image answered'),
    JSON.stringify(later),
  );

  // The ledger: every batch once and in order, and the log says the same of each.
  const ledger = new TrainedRun(folder, 'followed').steps();
  assert.deepEqual(
    ledger.map(({ step }) => step),
    Array.from({ length: STEPS }, (_, i) => i + 1),
  );
  const stepsOfEpoch = SAMPLES / BATCH;
  for (let begin = 0; begin < STEPS; begin += stepsOfEpoch) {
    const samples = ledger.slice(begin, begin + stepsOfEpoch).flatMap((step) => step.samples);
    assert.equal(new Set(samples).size, SAMPLES, `from step ${begin + 1}`);
  }
  for (const { step, samples } of ledger) {
    const logged = answered.filter((line) => line.step === step);
    logged.sort((a, b) => a.request! - b.request!);
    assert.deepEqual(
      logged.map(({ sample }) => sample),
      samples,
    );
  }
});
