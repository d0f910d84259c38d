/** Answers kept on disk, in the chart: volumes that fit the config, real runs. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { CirkdProcess } from '../../support/commands/cirkdProcess.js';
import {
  KUBE_VERSIONS,
  only,
  pods,
  RELEASE,
  render,
  VARIANTS,
} from '../../support/deploy/chart.js';
import {
  type Container,
  type KubeObject,
  restrictedFaults,
  type Volume,
} from '../../support/deploy/kube.js';
import { validate } from '../../support/deploy/objectSchemas.js';
import {
  sidecarConfig,
  studentConfig,
  teacherConfig,
} from '../../support/deploy/renderedConfigs.js';
import { startContainer } from '../../support/deploy/renderedContainer.js';
import { metricOf } from '../../support/teachers/teacherProcess.js';

const MIB_PER_GIB = 1024;
const SIZE_GIB = 8;
const CACHE = [...VARIANTS.try, '--set', `teacher.cache.enabled=true,teacher.cache.size=8Gi`];
const STORE = [...VARIANTS.try, '--set', `student.store.enabled=true,student.store.size=8Gi`];
const SIDECAR = ['--set', 'teacher.enabled=false,teacher.sidecar.enabled=true'];

type Part = 'teacher' | 'sidecar' | 'student';

function containerOf(objects: readonly KubeObject[], part: Part): Container {
  const { initContainers, containers } = pods(objects).get(
    part === 'sidecar' ? 'student' : part,
  )!.spec;
  return (part === 'sidecar' ? initContainers! : containers)[0]!;
}

/** What the config says, and the volume in which the folder lies. */
function answersOf(
  objects: readonly KubeObject[],
  part: Part,
): { directory: string; maxMiB: number; volume: Volume } {
  const { directory, maxMiB } = {
    teacher: () => teacherConfig(objects).cache,
    sidecar: () => sidecarConfig(objects).cache,
    student: () => studentConfig(objects).teacher.store,
  }[part]();
  const mount = containerOf(objects, part).volumeMounts!.find(
    ({ mountPath }) => directory?.startsWith(`${mountPath}/`) === true,
  );
  assert.ok(mount !== undefined && !mount.readOnly, `${directory}: no volume to write to`);
  const { volumes } = pods(objects).get(part === 'sidecar' ? 'student' : part)!.spec;
  return {
    directory: directory!,
    maxMiB,
    volume: volumes!.find(({ name }) => name === mount.name)!,
  };
}

async function assertValid(objects: readonly KubeObject[]): Promise<void> {
  assert.deepEqual((await validate(objects, KUBE_VERSIONS)).faults, []);
  for (const [part, { spec }] of pods(objects)) assert.deepEqual(restrictedFaults(spec), [], part);
}

test('off by default: no volume, no folder', async () => {
  const objects = await render(...VARIANTS.try);
  assert.equal(teacherConfig(objects).cache.directory, null);
  assert.equal(studentConfig(objects).teacher.store.directory, null);
  for (const [part, { spec }] of pods(objects)) {
    assert.ok(!JSON.stringify(spec).includes('answers'), part);
  }
});

for (const part of ['teacher', 'sidecar'] as const) {
  const given = part === 'sidecar' ? [...CACHE, ...SIDECAR] : CACHE;

  test(`${part}: a folder on the node, smaller than what the kubelet evicts a pod for`, async () => {
    const objects = await render(...given);
    await assertValid(objects);
    const { maxMiB, volume } = answersOf(objects, part);
    assert.deepEqual(volume.emptyDir, { sizeLimit: '8Gi' });
    // The one writer exceeds its bound by a sixteenth before it sweeps.
    const most = maxMiB * (1 + 1 / 16);
    assert.ok(most < 0.95 * SIZE_GIB * MIB_PER_GIB && most > 0.85 * SIZE_GIB * MIB_PER_GIB);
    const { requests, limits } = containerOf(objects, part).resources;
    assert.deepEqual(
      [requests['ephemeral-storage'], limits['ephemeral-storage']],
      ['8Gi', undefined],
    );
    const asked = ['--set', 'teacher.resources.requests.ephemeral-storage=9Gi'];
    const own = containerOf(await render(...given, ...asked), part).resources.requests;
    assert.equal(own['ephemeral-storage'], '9Gi');
  });

  test(`${part}: a volume of a class for each pod`, async () => {
    const objects = await render(...given, '--set', 'teacher.cache.storageClass=ssd');
    await assertValid(objects);
    const { spec } = answersOf(objects, part).volume.ephemeral!.volumeClaimTemplate;
    assert.deepEqual(spec, {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'ssd',
      resources: { requests: { storage: '8Gi' } },
    });
    const { requests } = containerOf(objects, part).resources;
    assert.ok(!('ephemeral-storage' in requests));
  });

  test(`${part}: a claim, whose bound leaves room for all its writers`, async () => {
    const sets = ['--set', 'teacher.cache.claim=answers,teacher.replicas=7'];
    const objects = await render(...given, ...sets);
    await assertValid(objects);
    const { maxMiB, volume } = answersOf(objects, part);
    assert.deepEqual(volume.persistentVolumeClaim, { claimName: 'answers' });
    const writers = part === 'sidecar' ? 1 : 8;
    const most = maxMiB * (1 + writers / 16);
    assert.ok(most < 0.95 * SIZE_GIB * MIB_PER_GIB && most > 0.85 * SIZE_GIB * MIB_PER_GIB);
    assert.ok(!('ephemeral-storage' in containerOf(objects, part).resources.requests));
  });
}

test('the student has a claim, which stays when the release goes, or the one that is given', async () => {
  const objects = await render(...STORE);
  await assertValid(objects);
  const { maxMiB, volume } = answersOf(objects, 'student');
  const claim = only(objects, 'PersistentVolumeClaim', `${RELEASE}-student-answers`);
  assert.deepEqual(volume.persistentVolumeClaim, { claimName: claim.metadata.name });
  assert.deepEqual(claim.spec.accessModes, ['ReadWriteOnce']);
  assert.equal(claim.metadata.annotations?.['helm.sh/resource-policy'], 'keep');
  assert.ok(maxMiB * (1 + 1 / 16) < 0.95 * SIZE_GIB * MIB_PER_GIB);

  const shared = await render(...STORE, '--set', 'student.store.claim=shared');
  await assertValid(shared);
  assert.deepEqual(answersOf(shared, 'student').volume.persistentVolumeClaim, {
    claimName: 'shared',
  });
  const claims = shared.filter(({ kind }) => kind === 'PersistentVolumeClaim');
  assert.deepEqual(
    claims.map(({ metadata }) => metadata.name),
    [`${RELEASE}-student-runs`],
  );
});

test('a smaller bound of the config is kept, beside its other keys', async () => {
  const cache = 'teacher.config.cache.maxMiB=100,teacher.config.cache.memoryMiB=64';
  const config = teacherConfig(await render(...CACHE, '--set', cache)).cache;
  assert.deepEqual(config, { memoryMiB: 64, directory: '/answers/store', maxMiB: 100 });
  const recipe = 'student.recipe=teacher: {store: {directory: /home/me/answers\\, maxMiB: 100}}';
  const { store } = studentConfig(await render(...STORE, '--set-string', recipe)).teacher;
  assert.deepEqual(store, { directory: '/answers/store', maxMiB: 100 });
});

test('the bound of a shared claim counts who writes to it', async () => {
  const shared = [...CACHE, '--set', 'teacher.cache.claim=answers'];
  const bounds: number[] = [];
  for (const [sets, writers] of [
    ['teacher.replicas=4,teacher.maxSurge=0', 4],
    // A Deployment rounds it up.
    ['teacher.replicas=5,teacher.maxSurge=25%', 7],
    ['teacher.autoscaling.enabled=true,teacher.autoscaling.maxReplicas=10,teacher.maxSurge=3', 13],
  ] as const) {
    const { maxMiB } = answersOf(await render(...shared, '--set', sets), 'teacher');
    const most = (maxMiB + 1) * (1 + writers / 16);
    assert.ok(Math.abs(most - 0.9 * SIZE_GIB * MIB_PER_GIB) < 2 * (1 + writers / 16), sets);
    bounds.push(maxMiB);
  }
  assert.deepEqual(
    bounds.toSorted((a, b) => b - a),
    bounds,
  );
  const runs = ['--set', 'student.store.claim=shared,student.store.writers=6'];
  const { maxMiB } = answersOf(await render(...STORE, ...runs), 'student');
  assert.equal(maxMiB, Math.floor((144 * SIZE_GIB * MIB_PER_GIB) / (160 + 10 * 6)));
});

test('taken: a claim of one pod at a time, if there is never a second; addresses of other servers', async () => {
  const alone = [...CACHE, ...SIDECAR, '--set', 'teacher.cache.claim=a'];
  await render(...alone, '--set', 'teacher.cache.accessMode=ReadWriteOncePod');
  const one = 'teacher.cache.claim=a,teacher.replicas=1,teacher.maxSurge=0';
  await render(...CACHE, '--set', `${one},teacher.cache.accessMode=ReadWriteOnce`);
  const limits = 'teacher.resources.limits.ephemeral-storage=9Gi';
  await render(...CACHE, '--set', limits);
  const addresses = '{oip://triton.ml.svc:8001/deeplab,oip+dns:///triton.ml.svc:8001/deeplab/1}';
  const elsewhere = [
    '--set',
    `student.teacherAddresses=${addresses},student.config.teacher.encoding=fp32`,
  ];
  assert.deepEqual(
    studentConfig(await render(...VARIANTS.run, ...elsewhere)).teacher.addresses,
    addresses.slice(1, -1).split(','),
  );
});

const folder = mkdtempSync(join(tmpdir(), 'cirkd-chart-kept-'));
const processes: CirkdProcess[] = [];
after(() => {
  for (const one of processes) one.kill();
  rmSync(folder, { recursive: true, force: true });
});

/** Started, and where its metrics are. */
async function startTeacher(objects: readonly KubeObject[], part: 'teacher' | 'sidecar') {
  const ports = part === 'teacher' ? ['listen.port=0'] : [];
  const settings = [...ports, 'listen.healthPort=0', 'metrics.port=0'];
  const teacher = startContainer(objects, part, join(folder, part), settings);
  processes.push(teacher);
  const [listening] = await teacher.says(/\{[^\n]*"health":[^\n]*\}/);
  const { grpc, metrics } = JSON.parse(listening) as { grpc?: string; metrics: string };
  return { teacher, address: grpc ?? '', metrics };
}

/** Images that it computed: each is a batch of its own. */
const computedAt = ({ metrics }: { readonly metrics: string }) =>
  metricOf(metrics, 'cirkd_teacher_inference_seconds_count');

/** A run of 4 steps, whose crops come twice. */
async function train(
  objects: readonly KubeObject[],
  [volume, id]: readonly [string, string],
  settings: readonly string[] = [],
): Promise<{ readonly answersFromStore: unknown }> {
  const mounted = join(folder, volume);
  const student = startContainer(objects, 'student', mounted, [
    ...[`run.directory=${mounted}`, `run.id=${id}`, 'metrics.port=0', 'metrics.lingerMs=0'],
    ...['train.steps=4', 'train.batchSize=2', 'evaluate.pictures=0'],
    ...['data.train.samples=4', 'data.fixedCrops=1', ...settings],
  ]);
  processes.push(student);
  assert.equal(await student.exit(), 0, student.stderr);
  return JSON.parse(readFileSync(join(mounted, id, 'summary.json'), 'utf8'));
}

test("as rendered: the fleet's volume serves after a restart, the student's to the next run", async () => {
  const objects = await render(...CACHE, '--set', 'student.store.enabled=true');
  const first = await startTeacher(objects, 'teacher');
  const at = (address: string) => [`teacher.addresses=["${address}"]`];
  const direct = ['teacher.store.directory=null'];
  await train(objects, ['student', 'one'], [...at(first.address), ...direct]);
  assert.equal(await computedAt(first), 4);
  first.teacher.kill();
  await first.teacher.exit();

  const second = await startTeacher(objects, 'teacher');
  const asked = await train(objects, ['student', 'two'], at(second.address));
  assert.equal(await computedAt(second), 0);
  assert.deepEqual(asked.answersFromStore, { images: 8, stored: 4 });
  // The volume of the student goes to the next pod.
  const repeated = await train(objects, ['student', 'three'], at(second.address));
  assert.deepEqual(repeated.answersFromStore, { images: 8, stored: 8 });
  assert.equal(await computedAt(second), 0);
});

test('as rendered: the sidecar keeps its answers while its container is started again', async () => {
  const objects = await render(...CACHE, ...SIDECAR);
  const first = await startTeacher(objects, 'sidecar');
  await train(objects, ['sidecar', 'beside']);
  assert.equal(await computedAt(first), 4);
  first.teacher.kill();
  await first.teacher.exit();
  const second = await startTeacher(objects, 'sidecar');
  await train(objects, ['sidecar', 'again']);
  assert.equal(await computedAt(second), 0);
});
