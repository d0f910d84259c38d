/** Who finds whom, and who may talk to whom: services, names, policies, monitors, certificates. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CHART,
  helm,
  NAMESPACE,
  only,
  pods,
  RELEASE,
  render,
  VARIANT_NAMES,
  VARIANTS,
} from '../support/deploy/chart.js';
import { allows, type KubeObject, type Labels, selects } from '../support/deploy/kube.js';
import { studentConfig } from '../support/deploy/renderedConfigs.js';

const secured = await render(...VARIANTS.secured);
const labelsOf = (objects: readonly KubeObject[], part: string) =>
  pods(objects).get(part)!.metadata.labels;

const inNamespace = (name: string, extra: Labels = {}) => ({
  'kubernetes.io/metadata.name': name,
  ...extra,
});
/** A pod of the release's own namespace. */
const here = (labels: Labels) => ({ labels, namespaceLabels: null });

test('selectors take their own pods and no others', async () => {
  for (const name of VARIANT_NAMES) {
    const objects = await render(...VARIANTS[name]);
    for (const [part, { metadata }] of pods(objects)) {
      for (const { kind, spec } of objects) {
        const about = `${name}: ${kind} and ${part}`;
        const isOwn = part === 'teacher';
        if (kind === 'Deployment')
          assert.equal(selects(spec.selector, metadata.labels), isOwn, about);
        if (kind === 'PodDisruptionBudget') {
          assert.equal(selects(spec.selector, metadata.labels), isOwn, about);
        }
        if (kind === 'Service') {
          assert.equal(selects({ matchLabels: spec.selector }, metadata.labels), isOwn, about);
        }
      }
    }
  }
});

test("services lead to ports that the teacher's container has", () => {
  const { ports = [] } = pods(secured).get('teacher')!.spec.containers[0]!;
  const names = ports.map(({ name }) => name);
  const services = secured.filter(({ kind }) => kind === 'Service');
  assert.equal(services.length, 2);
  for (const { spec } of services) {
    for (const { targetPort } of spec.ports) assert.ok(names.includes(targetPort), targetPort);
  }
});

test("the student's address is the headless service's name, which the certificate has", () => {
  const [address] = studentConfig(secured).teacher.addresses;
  const host = `${RELEASE}-teacher-headless.${NAMESPACE}.svc`;
  assert.equal(address, `dns:///${host}:50051`);
  const service = only(secured, 'Service', `${RELEASE}-teacher-headless`);
  assert.equal(service.spec.clusterIP, 'None');
  const teacher = only(secured, 'Certificate', `${RELEASE}-teacher`);
  assert.ok(teacher.spec.dnsNames.includes(host));
  assert.ok(teacher.spec.usages.includes('server auth'));
  const student = only(secured, 'Certificate', `${RELEASE}-student`);
  assert.ok(student.spec.usages.includes('client auth'));
});

test('teachers take students and Prometheus, and ask nobody', () => {
  const { spec } = only(secured, 'NetworkPolicy', `${RELEASE}-teacher`);
  assert.ok(selects(spec.podSelector, labelsOf(secured, 'teacher')));
  assert.ok(!selects(spec.podSelector, labelsOf(secured, 'student')));
  const may = (...given: [Parameters<typeof allows>[1], string]) =>
    spec.ingress.some((rule) => allows(rule, ...given));
  const student = here(labelsOf(secured, 'student'));
  const prometheus = { labels: {}, namespaceLabels: inNamespace('monitoring') };
  const far = {
    labels: { 'app.kubernetes.io/component': 'student' },
    namespaceLabels: inNamespace('vision', { cirkd: 'students' }),
  };
  const probe = here(labelsOf(secured, 'probe'));
  const stranger = here({ app: 'shell' });
  const farStranger = { ...far, namespaceLabels: inNamespace('vision') };
  assert.deepEqual(
    [student, far, prometheus, probe, stranger, farStranger].map((peer) =>
      ['grpc', 'health', 'metrics'].filter((port) => may(peer, port)),
    ),
    [['grpc'], ['grpc'], ['metrics'], ['health'], [], []],
  );
  assert.deepEqual(spec.egress, []);
});

test('a student is let to its teachers and to DNS; Prometheus is let to it', async () => {
  const may = (
    spec: KubeObject['spec'],
    ...given: [Parameters<typeof allows>[1], string | number]
  ) => spec.egress.some((rule) => allows(rule, ...given));
  const { spec } = only(secured, 'NetworkPolicy', `${RELEASE}-student`);
  const teacher = here(labelsOf(secured, 'teacher'));
  assert.ok(may(spec, teacher, 'grpc') && !may(spec, teacher, 'health'));
  assert.ok(!may(spec, here({ app: 'shell' }), 'grpc'));
  assert.ok(may(spec, { labels: {}, namespaceLabels: inNamespace('kube-system') }, 53));
  const prometheus = { labels: {}, namespaceLabels: inNamespace('monitoring') };
  assert.ok(spec.ingress.some((rule) => allows(rule, prometheus, 'metrics')));
  assert.ok(!spec.ingress.some((rule) => allows(rule, teacher, 'metrics')));

  const run = only(await render(...VARIANTS.run), 'NetworkPolicy').spec;
  const labels = { 'app.kubernetes.io/component': 'teacher' };
  assert.ok(may(run, { labels, namespaceLabels: inNamespace('teachers') }, 'grpc'));
  assert.ok(!may(run, { labels, namespaceLabels: inNamespace('others') }, 'grpc'));
});

test('the monitor scrapes teachers and student, at a port that they have', () => {
  const { spec } = only(secured, 'PodMonitor');
  const [{ port }] = spec.podMetricsEndpoints as readonly [{ port: string }];
  for (const [part, { metadata, spec: pod }] of pods(secured)) {
    const isScraped = part !== 'probe';
    assert.equal(selects(spec.selector, metadata.labels), isScraped, part);
    const names = (pod.containers[0]!.ports ?? []).map(({ name }) => name);
    assert.equal(names.includes(port), isScraped, part);
  }
});

test('KEDA scales the teachers, and then nobody else says how many', async () => {
  const deployment = only(secured, 'Deployment');
  assert.equal(only(secured, 'ScaledObject').spec.scaleTargetRef.name, deployment.metadata.name);
  assert.equal(deployment.spec.replicas, undefined);
  const fixed = only(await render('--set', 'teacher.replicas=5'), 'Deployment');
  assert.equal(fixed.spec.replicas, 5);
});

test('the health test asks a port of the ordinary service', () => {
  const [address] = pods(secured).get('probe')!.spec.containers[0]!.args;
  const { spec } = only(secured, 'Service', `${RELEASE}-teacher`);
  const [host, port] = address!.split(':');
  assert.equal(host, `${RELEASE}-teacher`);
  const ports = spec.ports as unknown as readonly { name: string; port: number }[];
  assert.equal(ports.find(({ name }) => name === 'health')?.port, Number(port));
});

test('names stay within what Kubernetes takes, however long the release is called', async () => {
  const release = `v1.2-${'a'.repeat(48)}`;
  const given = ['--kube-version', '1.31', ...VARIANTS.secured];
  const { code, output } = await helm('template', release, CHART, ...given);
  assert.equal(code, 0, output);
  const names = [...output.matchAll(/^ {2}name: (\S+)$/gm)].map(([, name]) => name!);
  assert.ok(names.length > 10);
  for (const name of names) assert.match(name, /^[a-z][-a-z0-9]{0,61}[a-z0-9]$/);
});
