/** The chart through helm itself, and what it renders against the schemas of an API server. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import {
  CHART,
  helm,
  KUBE_VERSIONS,
  NAMESPACE,
  only,
  pods,
  ROOT,
  render,
  template,
  VARIANT_NAMES,
  VARIANTS,
} from '../support/deploy/chart.js';
import { type KubeObject, type PodSpec, restrictedFaults } from '../support/deploy/kube.js';
import { validate } from '../support/deploy/objectSchemas.js';

const read = (path: string) => readFileSync(path, 'utf8');

test('helm lint --strict finds nothing, with any values file', async () => {
  for (const name of VARIANT_NAMES) {
    for (const version of KUBE_VERSIONS) {
      const given = ['--kube-version', version, ...VARIANTS[name]];
      const { code, output } = await helm('lint', '--strict', CHART, ...given);
      assert.equal(code, 0, `${name} on ${version}:\n${output}`);
      assert.match(output, /1 chart\(s\) linted, 0 chart\(s\) failed/);
    }
  }
});

test('objects are valid, without a field that the oldest or newest Kubernetes lacks', async () => {
  const checked = new Map<string, number>();
  for (const name of VARIANT_NAMES) {
    const validity = await validate(await render(...VARIANTS[name]), KUBE_VERSIONS);
    assert.deepEqual(validity.faults, [], name);
    for (const [kind, checks] of Object.entries(validity.checked)) {
      checked.set(kind, (checked.get(kind) ?? 0) + checks);
    }
  }
  const kinds = [
    ...['Deployment', 'Service', 'PodDisruptionBudget', 'Job', 'PersistentVolumeClaim', 'Pod'],
    ...['ConfigMap', 'ServiceAccount', 'NetworkPolicy'],
    ...['Certificate', 'PodMonitor', 'PrometheusRule', 'ScaledObject', 'ClusterServingRuntime'],
  ];
  assert.deepEqual([...checked.keys()].sort(), kinds.sort());
});

test('the pod for files is as valid, and keeps the restricted profile', async () => {
  const text = read(join(ROOT, 'deploy/kubernetes/files.yaml'));
  const objects = parseAllDocuments(text).map((one) => one.toJS() as KubeObject);
  const validity = await validate(objects, KUBE_VERSIONS);
  assert.deepEqual(validity, { checked: { PersistentVolumeClaim: 4, Pod: 2 }, faults: [] });
  const pod = objects[2]!.spec as unknown as PodSpec;
  assert.deepEqual(restrictedFaults(pod), []);
  const container = { ...pod.containers[0]!, securityContext: { readOnlyRootFilesystem: true } };
  const open = { ...pod, hostNetwork: true, securityContext: {}, containers: [container] };
  const seen = ['runAsNonRoot', 'seccompProfile', 'namespaces', 'containers'];
  assert.deepEqual(restrictedFaults(open), seen);
  const claims = objects.slice(0, 2).map(({ metadata }) => metadata.name);
  assert.deepEqual(claims, ['cirkd-teacher-weights', 'cirkd-dataset']);
  // All that the values name, and the release doesn't make itself.
  for (const name of VARIANT_NAMES) {
    const release = await render(...VARIANTS[name]);
    const own = release.filter(({ kind }) => kind === 'PersistentVolumeClaim');
    const there = [...claims, ...own.map(({ metadata }) => metadata.name)];
    for (const [part, { spec }] of pods(release)) {
      for (const { persistentVolumeClaim: claim } of spec.volumes ?? []) {
        assert.ok(claim === undefined || there.includes(claim.claimName), `${name}, ${part}`);
      }
    }
  }
});

test('the validation sees what is wrong with core and custom objects', async () => {
  const objects = await render(...VARIANTS.secured);
  const changed = (kind: string, spec: object): KubeObject => {
    const object = objects.find((one) => one.kind === kind)!;
    return { ...object, spec: { ...object.spec, ...spec } };
  };
  const { faults } = await validate(
    [
      changed('Deployment', { replicaz: 2 }),
      changed('Job', { backoffLimit: 'six' }),
      changed('ScaledObject', { triggers: [{ type: 'prometheus' }] }),
      changed('Certificate', { dnsName: 'teachers' }),
      changed('PrometheusRule', { groups: [{ name: 'a', rules: [{ alert: 'b' }] }] }),
      changed('PodMonitor', { podMetricsEndpoints: [{ port: 'metrics', interval: 'soon' }] }),
      { ...objects[0]!, apiVersion: 'example.org/v1', kind: 'Unheard' },
    ],
    KUBE_VERSIONS,
  );
  const seen = (kind: string, what: RegExp) =>
    assert.ok(
      faults.some((fault) => fault.startsWith(`${kind}/`) && what.test(fault)),
      `${kind} ${what}: ${faults.join('\n')}`,
    );
  seen('Deployment', /replicaz/);
  seen('Job', /'six'/);
  seen('ScaledObject', /'metadata' is a required property/);
  seen('Certificate', /dnsName/);
  seen('PrometheusRule', /'expr' is a required property/);
  seen('PodMonitor', /'soon'/);
  seen('Unheard', /find schema/);
});

test('an older Kubernetes is refused', async () => {
  const { code, output } = await template([], '1.30');
  assert.notEqual(code, 0);
  assert.match(output, /kubeVersion: >=1\.31/);
});

test("the chart's versions are the project's, and helm packs it", async () => {
  const chart = parse(read(join(CHART, 'Chart.yaml')));
  const { version } = JSON.parse(read(join(ROOT, 'package.json')));
  assert.equal(chart.appVersion, version);
  assert.equal(chart.version, version);
  const { code, output } = await helm('show', 'chart', CHART);
  assert.equal(code, 0, output);
});

test('rules, scaler and dashboard arrive as their files have them', async () => {
  const objects = await render(...VARIANTS.secured);
  const rules = parse(read(join(CHART, 'files/rules.yaml')));
  assert.deepEqual(only(objects, 'PrometheusRule').spec.groups, rules.groups);
  const dashboard = only(objects, 'ConfigMap', 'dist-dashboard');
  assert.deepEqual(
    JSON.parse(dashboard.data!['cirkd.json']!),
    JSON.parse(read(join(CHART, 'files/dashboard.json'))),
  );
  assert.equal(dashboard.metadata.labels['grafana_dashboard'], '1');
  const scaler = parse(read(join(CHART, 'files/scaler.yaml')));
  const [trigger] = only(objects, 'ScaledObject').spec.triggers;
  assert.equal(trigger!.metadata['query'], scaler.query.replaceAll('NAMESPACE', NAMESPACE));
  assert.equal(trigger!.metadata['threshold'], String(scaler.threshold));
  // KEDA takes an empty answer for 0 teachers wanted otherwise.
  assert.equal(trigger!.metadata['ignoreNullValues'], 'false');
});

test("runbooks' addresses can be those of one's own copy", async () => {
  const base = 'https://git.example/cirkd/blob/main/';
  const objects = await render(
    ...VARIANTS.secured,
    ...['--set', `monitoring.rules.runbooks=${base}`],
  );
  const text = JSON.stringify(only(objects, 'PrometheusRule').spec.groups);
  const links = [...text.matchAll(/"runbook_url":"([^"]+)"/g)].map(([, link]) => link!);
  assert.ok(links.length > 5);
  for (const link of links) assert.ok(link.startsWith(`${base}docs/runbook.md#cirkd`), link);
});
