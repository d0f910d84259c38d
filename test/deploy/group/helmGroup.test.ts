/** A student on several pods, in the chart: how the ranks find one another, who reaches them, how they come back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTfConfig } from '../../../src/config/tfConfig.js';
import {
  CHART,
  helm,
  KUBE_VERSIONS,
  NAMESPACE,
  only,
  pods,
  RELEASE,
  render,
  template,
  VARIANTS,
} from '../../support/deploy/chart.js';
import {
  allows,
  type Container,
  type KubeObject,
  restrictedFaults,
  selects,
} from '../../support/deploy/kube.js';
import { validate } from '../../support/deploy/objectSchemas.js';
import { studentConfig, teacherConfig } from '../../support/deploy/renderedConfigs.js';

const WORKERS = 4;
const JOB = `${RELEASE}-student`;
const SERVICE = `${RELEASE}-student-ranks`;
const group = await render(...VARIANTS.group);

const student = (objects: readonly KubeObject[] = group): Container =>
  pods(objects).get('student')!.spec.containers[0]!;
/** As the Job controller labels a pod. */
const labelsOfPod = (job: string) => ({
  ...pods(group).get('student')!.metadata.labels,
  'batch.kubernetes.io/job-name': job,
});
const here = (job: string) => ({ labels: labelsOfPod(job), namespaceLabels: null });

test('objects are valid for the oldest and the newest Kubernetes, also beside a sidecar and a fleet', async () => {
  const more = 'student.workers=2,student.run.accessMode=ReadWriteMany,student.enabled=true';
  const sidecar = [...VARIANTS.sidecar, '--set', more];
  const fleet = [...VARIANTS.try, '--set', more];
  for (const given of [VARIANTS.group, sidecar, fleet]) {
    const objects = await render(...given);
    assert.deepEqual((await validate(objects, KUBE_VERSIONS)).faults, []);
    for (const { spec } of pods(objects).values()) assert.deepEqual(restrictedFaults(spec), []);
    only(objects, 'Service', SERVICE);
  }
});

test('one worker: neither service, port, index nor TF_CONFIG', async () => {
  const alone = await render(...VARIANTS.run, '--set', 'student.workers=1');
  assert.deepEqual(alone, await render(...VARIANTS.run));
  const { spec } = only(alone, 'Job');
  assert.deepEqual([spec.completionMode, spec.backoffLimit], [undefined, 12]);
  assert.ok(!('env' in student(alone)) && alone.every(({ kind }) => kind !== 'Service'));
  assert.ok(!/ranks|distributed|TF_CONFIG/.test(JSON.stringify(alone)));
});

test('an Indexed Job with a pod for each rank, which ends when rank 0 has its results', () => {
  const { spec } = only(group, 'Job', JOB);
  assert.deepEqual(
    [spec.completionMode, spec.completions, spec.parallelism],
    ['Indexed', WORKERS, WORKERS],
  );
  assert.deepEqual(spec.successPolicy, { rules: [{ succeededIndexes: '0' }] });
  // A rank that may not come back ends the Job: the others would wait for it.
  assert.deepEqual([spec.backoffLimitPerIndex, spec.maxFailedIndexes], [12, 0]);
  assert.equal(spec.backoffLimit, undefined);
  assert.equal(spec.podReplacementPolicy, 'Failed');
});

test('a lost rank takes the others along, and only its own failure counts', () => {
  const { rules } = only(group, 'Job', JOB).spec.podFailurePolicy;
  const actionOf = (code: number) =>
    rules.find(({ onExitCodes }) => onExitCodes?.values.includes(code))?.action ?? 'Count';
  const codes = [1, 2, 3, 4, 5, 6, 7, 8, 137, 143];
  const ends = new Set([2, 4, 5, 6, 7]);
  const expected = (code: number) =>
    ends.has(code) ? 'FailJob' : [8, 143].includes(code) ? 'Ignore' : 'Count';
  assert.deepEqual(codes.map(actionOf), codes.map(expected));
  assert.equal(rules[0]!.onPodConditions?.[0]?.type, 'DisruptionTarget');
});

test("ranks wait for one another longer than Kubernetes' longest pause, unless told otherwise", async () => {
  const longestPauseMs = 600_000;
  assert.ok(studentConfig(group).distributed.startTimeoutMs >= 1.5 * longestPauseMs);
  const sets =
    'student.config.distributed.startTimeoutMs=90000,student.config.distributed.norms=rank';
  const { distributed } = studentConfig(await render(...VARIANTS.group, '--set', sets));
  assert.deepEqual([distributed.startTimeoutMs, distributed.norms], [90_000, 'rank']);
});

test('every rank gets the same list, its own index, and names that the headless service makes', () => {
  const { env = [], ports = [] } = student();
  // $(NAME) is filled in from variables that come before.
  assert.deepEqual(
    env.map(({ name }) => name),
    ['JOB_COMPLETION_INDEX', 'TF_CONFIG'],
  );
  const { fieldPath } = env[0]!.valueFrom!.fieldRef;
  assert.equal(fieldPath, "metadata.annotations['batch.kubernetes.io/job-completion-index']");
  const { spec } = only(group, 'Service', SERVICE);
  assert.deepEqual([spec.clusterIP, spec.publishNotReadyAddresses], ['None', true]);
  assert.equal(pods(group).get('student')!.spec.subdomain, SERVICE);
  assert.ok(selects({ matchLabels: spec.selector }, labelsOfPod(JOB)));
  assert.ok(!selects({ matchLabels: spec.selector }, labelsOfPod('other')));
  const port = ports.find(({ name }) => name === spec.ports[0]!.targetPort)!.containerPort;
  const names = Array.from(
    { length: WORKERS },
    (_, rank) => `${JOB}-${rank}.${SERVICE}.${NAMESPACE}.svc:${port}`,
  );
  for (let rank = 0; rank < WORKERS; rank++) {
    const text = env[1]!.value!.replaceAll('$(JOB_COMPLETION_INDEX)', String(rank));
    assert.deepEqual(parseTfConfig(text), { workers: names, index: rank });
  }
});

test('a long name of a release stays within what DNS takes', async () => {
  const name = `${'a-long.name-'.repeat(4)}here`;
  const sets = 'student.workers=64,student.config.train.batchSize=64';
  const where = ['--namespace', NAMESPACE, '--kube-version', KUBE_VERSIONS[0]];
  const given = [...where, ...VARIANTS.group, '--set', sets];
  const { code, output } = await helm('template', name, CHART, ...given);
  assert.equal(code, 0, output);
  const hosts = [...output.matchAll(/"([^":]+\.svc):2222"/g)].map(([, host]) => host!);
  assert.equal(hosts.length, 64);
  for (const label of hosts.flatMap((host) => host.split('.'))) {
    assert.match(label, /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
  }
});

test("the ranks' port is open to the same Job's pods alone; Prometheus reaches each rank's metrics", () => {
  const { spec } = only(group, 'NetworkPolicy', JOB);
  assert.ok(selects(spec.podSelector, labelsOfPod(JOB)));
  const into = (...given: [Parameters<typeof allows>[1], string]) =>
    spec.ingress.some((rule) => allows(rule, ...given));
  assert.ok(into(here(JOB), 'ranks'));
  const prometheus = {
    labels: {},
    namespaceLabels: { 'kubernetes.io/metadata.name': 'monitoring' },
  };
  for (const other of [here('other-student'), prometheus, { labels: {}, namespaceLabels: null }]) {
    assert.ok(!into(other, 'ranks'), JSON.stringify(other));
  }
  assert.ok(into(prometheus, 'metrics') && !into(here(JOB), 'metrics'));
  const out = (...given: [Parameters<typeof allows>[1], string]) =>
    spec.egress.some((rule) => allows(rule, ...given));
  assert.ok(out(here(JOB), 'ranks') && !out(here('other-student'), 'ranks'));
  const monitor = only(group, 'PodMonitor').spec;
  assert.ok(selects(monitor.selector, labelsOfPod(JOB)));
  const { containerPort } = student().ports!.find(
    ({ name }) => name === monitor.podMetricsEndpoints[0]!.port,
  )!;
  assert.equal(containerPort, studentConfig(group).metrics.port);
});

test('a sidecar and a store: each rank has a teacher, and the bounds count all ranks', async () => {
  const sets = [
    'student.workers=3,student.run.accessMode=ReadWriteMany,student.config.train.batchSize=6',
    'student.store.enabled=true,student.store.accessMode=ReadWriteMany,student.store.writers=2',
    'teacher.enabled=false,teacher.sidecar.enabled=true',
  ];
  const given = [...VARIANTS.try, '--set', sets.join(',')];
  const bound = (writers: number) => Math.floor((144 * 20 * 1024) / (160 + 10 * writers));
  assert.equal(studentConfig(await render(...given)).teacher.store.maxMiB, bound(6));
  const cache = 'teacher.enabled=true,teacher.cache.enabled=true,teacher.cache.claim=answers';
  // Two teachers of the fleet, one more during an update, and three sidecars.
  const { maxMiB } = teacherConfig(await render(...given, '--set', cache)).cache;
  assert.equal(maxMiB, bound(6));
});

const REFUSED: readonly (readonly [set: string, said: RegExp])[] = [
  ['student.workers=0', /workers.*minimum/s],
  ['student.workers=65', /workers.*maximum/s],
  ['student.workers=3', /train\.batchSize .*: 16 given, wanted a multiple of student\.workers, 3/],
  [
    'student.run.accessMode=ReadWriteOnce',
    /student\.run\.accessMode: ReadWriteOnce given, wanted ReadWriteMany: the 4 pods/,
  ],
  [
    'student.store.enabled=true',
    /student\.store\.accessMode: ReadWriteOnce given, wanted ReadWriteMany: the 4 pods/,
  ],
  ['student.config.distributed.workers={a:1}', /'workers' not allowed/],
  ['student.config.distributed.index=0', /'index' not allowed/],
];

for (const [set, said] of REFUSED) {
  test(`refused: ${set}`, async () => {
    const { code, output } = await template([...VARIANTS.group, '--set', set]);
    assert.notEqual(code, 0, output);
    assert.match(output, said);
  });
}

test("refused: a recipe's batch size that the ranks can't share", async () => {
  const recipe = ['--set-string', 'student.recipe=train: {batchSize: 6}'];
  const sets = 'student.enabled=true,student.workers=4,student.run.accessMode=ReadWriteMany';
  const { code, output } = await template(['--set', sets, ...recipe]);
  assert.notEqual(code, 0, output);
  assert.match(output, /train\.batchSize \(student\.config or the recipe\): 6 given/);
});
