/** What a schema can't know of the pods: that config, ports, volumes, probes and exit codes fit. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { command as studentCommand } from '../../services/cli/commands/student.js';
import { EXIT_CODES } from '../../services/program/exitCode.js';
import {
  only,
  pods,
  ROOT,
  render,
  VARIANT_NAMES,
  VARIANTS,
  type Variant,
} from '../support/deploy/chart.js';
import {
  type Container,
  type KubeObject,
  type PodTemplate,
  restrictedFaults,
} from '../support/deploy/kube.js';
import { configText, studentConfig, teacherConfig } from '../support/deploy/renderedConfigs.js';

const WITH_TEACHER: readonly Variant[] = ['default', 'try', 'fleet', 'gpu', 'secured', 'cached'];
const WITH_STUDENT: readonly Variant[] = ['try', 'gpu', 'secured', 'run', 'sidecar', 'cached'];

const rendered = new Map<Variant, KubeObject[]>();
for (const name of VARIANT_NAMES) rendered.set(name, await render(...VARIANTS[name]));
const objectsOf = (name: Variant) => rendered.get(name)!;

function podOf(name: Variant, part: 'teacher' | 'student' | 'probe'): PodTemplate {
  const pod = pods(objectsOf(name)).get(part);
  assert.ok(pod, `${name} has no ${part}`);
  return pod;
}

const containerOf = (...given: Parameters<typeof podOf>): Container =>
  podOf(...given).spec.containers[0]!;

const portsOf = ({ ports = [] }: Container) =>
  Object.fromEntries(ports.map(({ name, containerPort }) => [name, containerPort]));

test('the rendered configs are what the services take; ports and probes are theirs', () => {
  for (const name of WITH_TEACHER) {
    const { listen, metrics } = teacherConfig(objectsOf(name));
    const { healthPort, port: grpc, host } = listen;
    const container = containerOf(name, 'teacher');
    assert.deepEqual(portsOf(container), { grpc, health: healthPort, metrics: metrics.port });
    assert.deepEqual([host, metrics.host], ['0.0.0.0', '0.0.0.0']);
    for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'] as const) {
      assert.equal(container[probe]?.grpc.port, healthPort, probe);
    }
    // One second, which is Kubernetes' own, takes busy teachers out of DNS.
    for (const probe of ['readinessProbe', 'livenessProbe'] as const) {
      assert.ok((container[probe]?.timeoutSeconds ?? 1) > 1, probe);
    }
  }
  for (const name of WITH_STUDENT) {
    const { metrics } = studentConfig(objectsOf(name));
    assert.deepEqual(portsOf(containerOf(name, 'student')), { metrics: metrics.port });
    assert.equal(metrics.host, '0.0.0.0');
  }
});

test('the same command begins a run and goes on with it, in a folder on a volume that stays', () => {
  for (const name of WITH_STUDENT) {
    const { run } = studentConfig(objectsOf(name));
    const { spec } = podOf(name, 'student');
    const { args, volumeMounts = [] } = spec.containers[0]!;
    assert.deepEqual(args.slice(0, 1), ['student']);
    assert.ok(args.includes('--resume'));
    assert.equal(run.id, name === 'secured' ? 'camvid-1' : 'dist');
    const mount = volumeMounts.find(({ mountPath }) => mountPath === run.directory);
    const volume = spec.volumes!.find((one) => one.name === mount?.name);
    const claim = only(objectsOf(name), 'PersistentVolumeClaim', 'dist-student-runs');
    assert.equal(volume?.persistentVolumeClaim?.claimName, claim.metadata.name);
    assert.ok(!mount?.readOnly && !volume?.persistentVolumeClaim?.readOnly);
    assert.equal(claim.metadata.annotations?.['helm.sh/resource-policy'], 'keep');
  }
});

test('a claim that is there already is taken instead of a new one', async () => {
  const objects = await render(...VARIANTS.try, '--set', 'student.run.claim=mine');
  assert.ok(objects.every(({ kind }) => kind !== 'PersistentVolumeClaim'));
  const { volumes = [] } = pods(objects).get('student')!.spec;
  const runs = volumes.find(({ name }) => name === 'runs');
  assert.equal(runs?.persistentVolumeClaim?.claimName, 'mine');
});

test('every file that a config names lies in a mounted folder, which has its key', () => {
  const pathsIn = (text: string) => [...text.matchAll(/(?<=: )\/[\w./-]+/g)].map(([path]) => path);
  const files = { teacher: new Set<string>(), student: new Set<string>() };
  for (const [part, names] of [
    ['teacher', WITH_TEACHER],
    ['student', WITH_STUDENT],
  ] as const) {
    for (const name of names) {
      const { volumeMounts = [] } = containerOf(name, part);
      assert.ok(volumeMounts.every(({ subPath }) => subPath === undefined));
      for (const path of pathsIn(configText(objectsOf(name), part))) {
        files[part].add(path);
        // Without a claim the image holds the weights.
        if (name === 'fleet' && path.startsWith('/weights/')) continue;
        const isIn = ({ mountPath }: { mountPath: string }) =>
          path === mountPath || path.startsWith(`${mountPath}/`);
        assert.ok(volumeMounts.some(isIn), `${name}, ${part}: ${path}`);
      }
    }
  }
  const tls = ['ca.crt', 'tls.crt', 'tls.key'].map((file) => `/etc/cirkd/tls/${file}`);
  for (const file of [...tls, '/etc/cirkd/token/tokens']) assert.ok(files.teacher.has(file), file);
  for (const file of [...tls, '/etc/cirkd/token/token']) assert.ok(files.student.has(file), file);
  assert.ok(files.teacher.has('/weights/teacher.safetensors'));
});

test('config and secrets come from objects that there are', () => {
  const objects = objectsOf('secured');
  for (const part of ['teacher', 'student'] as const) {
    const { volumes = [], containers } = podOf('secured', part).spec;
    const volume = (name: string) => volumes.find((one) => one.name === name);
    only(objects, 'ConfigMap', volume('config')!.configMap!.name);
    const certificates = objects.filter(({ kind }) => kind === 'Certificate');
    const secrets = certificates.map(({ spec }) => spec.secretName);
    assert.ok(secrets.includes(volume('tls')!.secret!.secretName));
    assert.equal(volume('token')!.secret!.secretName, 'cirkd-token');
    // A teacher's tokens are not for students.
    const key = part === 'teacher' ? 'tokens' : 'token';
    assert.deepEqual(volume('token')!.secret!.items, [{ key, path: key }]);
    const config = containers[0]!.args[containers[0]!.args.indexOf('--config') + 1];
    assert.equal(config, `/etc/cirkd/config/${part}.yaml`);
  }
});

test('exit codes: which end the Job, which are started again, which count', () => {
  const { spec } = only(objectsOf('try'), 'Job');
  const { rules } = spec.podFailurePolicy;
  const actionOf = (code: number) =>
    rules.find(({ onExitCodes }) => onExitCodes?.values.includes(code))?.action ?? 'Count';
  // "0 done, 2 config or usage, 3 no teacher, ..."
  const told = studentCommand.usage.slice(studentCommand.usage.indexOf('Exit codes:'));
  const codes = [...told.matchAll(/(\d+) ([a-z])/g)].map(([, code]) => Number(code));
  assert.deepEqual(Object.fromEntries(codes.map((code) => [code, actionOf(code)])), {
    0: 'Count',
    2: 'FailJob',
    3: 'Count',
    4: 'FailJob',
    5: 'FailJob',
    6: 'FailJob',
    7: 'FailJob',
    // Of groups alone: group/helmGroup.test.ts.
    8: 'Count',
    143: 'Ignore',
  });
  assert.deepEqual(new Set(Object.values(EXIT_CODES)), new Set(codes.slice(1, -1)));
  const named = rules.flatMap(({ onExitCodes }) => onExitCodes?.values ?? []);
  assert.ok(
    named.every((code) => codes.includes(code)),
    'no other codes',
  );
  const { containers, restartPolicy } = podOf('try', 'student').spec;
  for (const { onExitCodes } of rules) {
    if (onExitCodes) assert.equal(onExitCodes.containerName, containers[0]!.name);
  }
  // An evicted pod's exit code, whatever it is, counts for nothing.
  assert.deepEqual(rules[0]!.onPodConditions, [{ type: 'DisruptionTarget', status: 'True' }]);
  assert.equal(rules[0]!.action, 'Ignore');
  assert.equal(restartPolicy, 'Never');
  assert.equal(spec.podReplacementPolicy, 'Failed');
});

test('a teacher may drain: the grace period holds the time to move and the drain', async () => {
  for (const [drainMs, preStopSeconds] of [
    [30_000, 10],
    [500, 0],
    [120_001, 7],
  ] as const) {
    const sets = `teacher.config.drainMs=${drainMs},teacher.preStopSeconds=${preStopSeconds}`;
    const objects = await render('--set', sets);
    const { spec } = pods(objects).get('teacher')!;
    const needed = preStopSeconds + drainMs / 1000;
    const { terminationGracePeriodSeconds: grace = 0 } = spec;
    assert.ok(grace >= needed + 10 && grace <= needed + 20, `${grace} for ${needed}`);
    const { lifecycle } = spec.containers[0]!;
    assert.equal(lifecycle?.preStop.sleep.seconds, preStopSeconds || undefined);
  }
});

test('an only teacher goes when the next is ready, and keeps no node from being drained', async () => {
  const objects = await render('--set', 'teacher.replicas=1');
  const { maxSurge, maxUnavailable } = only(objects, 'Deployment').spec.strategy.rollingUpdate;
  // Of 1, rounded down by a Deployment and up by a budget.
  const share = Number(/^(\d+)%$/.exec(String(maxUnavailable))?.[1]) / 100;
  assert.equal(Math.floor(share), 0);
  assert.ok(Number(maxSurge) >= 1);
  const budget = only(objects, 'PodDisruptionBudget').spec;
  assert.equal(budget.maxUnavailable, maxUnavailable);
  assert.equal(Math.ceil(share), 1);
});

test("pods keep Kubernetes' restricted profile, and write nowhere but to volumes", () => {
  for (const name of VARIANT_NAMES) {
    for (const [part, { spec }] of pods(objectsOf(name))) {
      assert.deepEqual(restrictedFaults(spec), [], `${name}: ${part}`);
      only(objectsOf(name), 'ServiceAccount', spec.serviceAccountName);
      for (const { resources } of spec.containers) {
        assert.ok(resources.limits['memory'] && resources.requests['memory'], `${name}: ${part}`);
      }
    }
  }
});

test('GPUs: one a pod, the CUDA image, and a toleration for the usual taint', () => {
  for (const part of ['teacher', 'student'] as const) {
    const { spec } = podOf('gpu', part);
    assert.equal(spec.containers[0]!.resources.limits['nvidia.com/gpu'], 1);
    assert.equal(spec.containers[0]!.image, `cirkd-${part}:0.1.0-cuda`);
    assert.deepEqual(spec.tolerations, [
      { key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' },
    ]);
    const cpu = podOf('secured', part).spec;
    assert.ok(!('nvidia.com/gpu' in cpu.containers[0]!.resources.limits));
    assert.equal(cpu.containers[0]!.image, `registry.example/vision/cirkd-${part}:0.1.0`);
  }
});

test('an image by digest', async () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  const objects = await render('--set', `teacher.digest=${digest}`);
  assert.equal(pods(objects).get('teacher')!.spec.containers[0]!.image, `cirkd-teacher@${digest}`);
});

test("the recipe's keys arrive, with the values' laid over them", () => {
  const config = studentConfig(objectsOf('gpu'));
  assert.deepEqual(config.student.channelOrder, 'bgr');
  assert.equal(config.loss.lossMemoryMiB, 4096);
  assert.deepEqual(config.data.train, {
    ...{ kind: 'cityscapes', root: '/dataset', list: null },
    ...{ labels: 'file', minConfidence: 0.5 },
  });
  assert.equal(config.teacher.encoding, 'int8');
  assert.equal(config.run.directory, '/runs');
});

test('another config is another pod, another chart version is not', async () => {
  const before = podOf('try', 'teacher');
  const sets = ['--set', 'teacher.config.drainMs=1'];
  const after = pods(await render(...VARIANTS.try, ...sets)).get('teacher')!;
  const checksum = (pod: PodTemplate) => pod.metadata.annotations!['checksum/config'];
  assert.notEqual(checksum(before), checksum(after));
  for (const part of ['teacher', 'student'] as const) {
    const labels = Object.keys(podOf('try', part).metadata.labels);
    assert.ok(!labels.some((label) => /chart|version/.test(label)));
  }
  assert.deepEqual(before.metadata.labels, after.metadata.labels);
});

test("another config of a run is another object: the Job's pods keep theirs", async () => {
  const after = await render(...VARIANTS.try, '--set', 'student.config.train.steps=7');
  const configs = [objectsOf('try'), after].map((objects) => {
    const { volumes = [] } = pods(objects).get('student')!.spec;
    const { name } = volumes.find((one) => one.name === 'config')!.configMap!;
    assert.equal(only(objects, 'ConfigMap', name).immutable, true);
    return name;
  });
  assert.notEqual(configs[0], configs[1]);
});

test('programs and user are those of the image', () => {
  const dockerfile = readFileSync(join(ROOT, 'deploy/docker/Dockerfile'), 'utf8');
  const assemble = readFileSync(join(ROOT, 'deploy/docker/assemble.mjs'), 'utf8');
  assert.match(dockerfile, /^COPY --from=build \/image \/app$/m);
  assert.match(dockerfile, /^USER 10001:10001$/m);
  for (const part of ['teacher', 'student'] as const) {
    const { command } = containerOf('try', part);
    const entry = JSON.stringify([...command, part]).replaceAll(',', ', ');
    assert.ok(dockerfile.includes(`ENTRYPOINT ${entry}`), entry);
  }
  const { command } = containerOf('try', 'probe');
  assert.deepEqual(command, ['/usr/local/bin/node', '/app/probe.mjs']);
  assert.match(assemble, /'probe\.mjs'/);
});
