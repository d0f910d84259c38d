/** The variant with the teacher in the student's pod: what there is, and that the two containers fit. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { only, pods, render, VARIANTS } from '../support/deploy/chart.js';
import type { Container, KubeObject } from '../support/deploy/kube.js';
import { selects } from '../support/deploy/kube.js';
import { configText, sidecarConfig, studentConfig } from '../support/deploy/renderedConfigs.js';

const objects = await render(...VARIANTS.sidecar);
const pod = (of: readonly KubeObject[] = objects) => pods(of).get('student')!.spec;
const containers = (of?: readonly KubeObject[]): { teacher: Container; student: Container } => {
  const { initContainers = [], containers } = pod(of);
  assert.deepEqual([initContainers.length, containers.length], [1, 1]);
  return { teacher: initContainers[0]!, student: containers[0]! };
};
const kindsOf = (given: readonly KubeObject[]) =>
  [...new Set(given.map(({ kind }) => kind))].sort();

test('no fleet: a Job, and nothing by which others would find the teacher', () => {
  assert.deepEqual(kindsOf(objects), [
    ...['ConfigMap', 'Job', 'NetworkPolicy', 'PersistentVolumeClaim', 'ServiceAccount'],
  ]);
});

test('the teacher is a native sidecar: before the student, restarted, not waited for', () => {
  const { teacher, student } = containers();
  assert.deepEqual([teacher.name, student.name], ['teacher', 'student']);
  assert.equal(teacher.restartPolicy, 'Always');
  // The student's container is started when the probe has succeeded once.
  const { healthPort } = sidecarConfig(objects).listen;
  for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'] as const) {
    assert.equal(teacher[probe]?.grpc.port, healthPort, probe);
  }
  const ports = Object.fromEntries(teacher.ports!.map((one) => [one.name, one.containerPort]));
  const { metrics } = sidecarConfig(objects);
  assert.deepEqual(ports, { health: healthPort, 'teacher-metrics': metrics.port });
  // One network for both containers.
  assert.notEqual(metrics.port, studentConfig(objects).metrics.port);
  const names = [teacher, student].flatMap((one) => one.ports!.map(({ name }) => name));
  assert.equal(new Set(names).size, names.length);
  for (const name of names) assert.match(name, /^[a-z][-a-z]{0,14}$/);
});

test('they meet at a socket in a volume of the pod, which only their user reaches', () => {
  const { listen } = sidecarConfig(objects);
  assert.deepEqual([listen.port, listen.socketAccess], [null, 'user']);
  assert.deepEqual(studentConfig(objects).teacher.addresses, [listen.socket]);
  const folder = listen.socket!.replace(/^unix:(.*)\/[^/]+$/, '$1');
  const { teacher, student } = containers();
  const mounts = [teacher, student].map((container) =>
    container.volumeMounts!.find(({ mountPath }) => mountPath === folder),
  );
  assert.deepEqual(
    mounts.map((mount) => [mount?.name, mount?.readOnly ?? false]),
    [
      ['socket', false],
      ['socket', true],
    ],
  );
  assert.ok(pod().volumes!.find(({ name }) => name === 'socket')?.emptyDir);
  // Neither container has a user of its own.
  for (const { securityContext } of [teacher, student]) {
    assert.ok(!('runAsUser' in securityContext));
  }
});

test("each container has its own config, weights and temporary folder; the Job's can't change", async () => {
  const { teacher, student } = containers();
  const volumeAt = (container: Container, path: string, of = objects) => {
    const { name } = container.volumeMounts!.find(({ mountPath }) => mountPath === path)!;
    return pod(of).volumes!.find((volume) => volume.name === name)!;
  };
  assert.notEqual(volumeAt(teacher, '/tmp').name, volumeAt(student, '/tmp').name);
  assert.equal(volumeAt(teacher, '/weights').persistentVolumeClaim?.readOnly, true);
  const config = only(objects, 'ConfigMap', volumeAt(teacher, '/etc/cirkd/config').configMap!.name);
  assert.equal(config.immutable, true);
  assert.equal(teacher.args.at(-1), `/etc/cirkd/config/${Object.keys(config.data!)[0]}`);
  assert.match(configText(objects, 'sidecar'), /checkpoint: \/weights\/teacher\.safetensors/);

  const changed = await render(...VARIANTS.sidecar, '--set', 'teacher.config.drainMs=1');
  const other = volumeAt(containers(changed).teacher, '/etc/cirkd/config', changed).configMap!;
  assert.notEqual(other.name, config.metadata.name);
  const { name } = volumeAt(student, '/etc/cirkd/config').configMap!;
  assert.equal(
    volumeAt(containers(changed).student, '/etc/cirkd/config', changed).configMap!.name,
    name,
  );
});

test('a GPU each; a CPU student beside a GPU teacher tolerates the taint', async () => {
  const { teacher, student } = containers();
  for (const { resources } of [teacher, student]) {
    assert.equal(resources.limits['nvidia.com/gpu'], 1);
  }
  assert.deepEqual(
    [teacher.image, student.image],
    ['cirkd-teacher:0.1.0-cuda', 'cirkd-student:0.1.0-cuda'],
  );
  const mixed = await render(...VARIANTS.sidecar, '--set', 'student.gpu=false');
  assert.ok(!('nvidia.com/gpu' in containers(mixed).student.resources.limits));
  assert.equal(pod(mixed).tolerations?.[0]?.['key'], 'nvidia.com/gpu');
});

test('Prometheus finds both containers, and is let to both', async () => {
  const monitored = await render(
    ...VARIANTS.sidecar,
    '--set',
    'monitoring.podMonitor.enabled=true',
  );
  const { selector, podMetricsEndpoints } = only(monitored, 'PodMonitor').spec;
  assert.ok(selects(selector, pods(monitored).get('student')!.metadata.labels));
  const scraped = podMetricsEndpoints.map(({ port }) => port);
  assert.deepEqual(scraped, ['metrics', 'teacher-metrics']);
  const { ingress, egress } = only(monitored, 'NetworkPolicy').spec;
  assert.deepEqual(
    ingress.flatMap(({ ports = [] }) => ports.map(({ port }) => port)),
    scraped,
  );
  // DNS alone.
  assert.deepEqual(
    egress.flatMap(({ ports = [] }) => ports.map(({ port }) => port)),
    [53, 53],
  );
});

test('with a fleet as well, the student has the socket and the name', async () => {
  const both = await render(...VARIANTS.sidecar, '--set', 'teacher.enabled=true');
  assert.ok(kindsOf(both).includes('Deployment'));
  assert.deepEqual(studentConfig(both).teacher.addresses, [
    sidecarConfig(both).listen.socket,
    'dns:///dist-teacher-headless.ml.svc:50051',
  ]);
  const elsewhere = ['student.teacherAddresses={dns:///fleet.ml.svc:50051}'];
  const sets = [...elsewhere, 'networkPolicy.enabled=false'].flatMap((one) => ['--set', one]);
  assert.deepEqual(studentConfig(await render(...VARIANTS.sidecar, ...sets)).teacher.addresses, [
    sidecarConfig(both).listen.socket,
    'dns:///fleet.ml.svc:50051',
  ]);
});
