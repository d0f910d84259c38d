/** The example of a group as a TFJob of Kubeflow: valid, with the image's command, and one rank that writes. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { loadConfig } from '../../../src/config/load.js';
import { studentSchema } from '../../../src/config/student.js';
import { parseTfConfig } from '../../../src/config/tfConfig.js';
import { KUBE_VERSIONS, only, ROOT } from '../../support/deploy/chart.js';
import { type KubeObject, type PodTemplate, restrictedFaults } from '../../support/deploy/kube.js';
import { validate } from '../../support/deploy/objectSchemas.js';

interface Replicas {
  readonly replicas: number;
  readonly template: PodTemplate;
}

const text = readFileSync(join(ROOT, 'deploy/kubernetes/tfjob.yaml'), 'utf8');
const objects = parseAllDocuments(text).map((one) => one.toJS() as KubeObject);
const { tfReplicaSpecs } = only(objects, 'TFJob').spec as unknown as {
  readonly tfReplicaSpecs: Readonly<Record<'Chief' | 'Worker', Replicas>>;
};
const roles = Object.values(tfReplicaSpecs);

test("valid against Kubeflow's own schema, and the restricted profile", async () => {
  const { checked, faults } = await validate(objects, KUBE_VERSIONS);
  assert.deepEqual(faults, []);
  assert.equal(checked['TFJob'], 1);
  for (const { template } of roles) assert.deepEqual(restrictedFaults(template.spec), []);
});

test('the operator finds container and port; the ranks can share the batch', () => {
  for (const { template } of roles) {
    const [container] = template.spec.containers;
    assert.equal(container!.name, 'tensorflow');
    const port = container!.ports!.find(({ name }) => name === 'tfjob-port');
    assert.equal(port?.containerPort, 2222);
    assert.ok(container!.args.includes('--resume'));
  }
  const config = only(objects, 'ConfigMap').data!['student.yaml']!;
  // As the operator makes it.
  const at = (role: string, index: number) => `cirkd-group-${role}-${index}.ml.svc:2222`;
  const { replicas } = tfReplicaSpecs.Worker;
  const worker = Array.from({ length: replicas }, (_, index) => at('worker', index));
  const cluster = { chief: [at('chief', 0)], worker };
  const task = { type: 'worker', index: replicas - 1 };
  const { workers, index } = parseTfConfig(JSON.stringify({ cluster, task }));
  assert.equal(index, replicas);
  const overrides = [
    `distributed.workers=${JSON.stringify(workers)}`,
    `distributed.index=${index}`,
  ];
  const source = { text: config, fileName: 'student.yaml', overrides };
  const { train, run } = loadConfig(studentSchema, source);
  assert.equal(train.batchSize % workers.length, 0);
  const { volumeMounts = [] } = tfReplicaSpecs.Chief.template.spec.containers[0]!;
  assert.ok(volumeMounts.some(({ mountPath }) => mountPath === run.directory));
});

test('the chief has the claim of the run, the workers an empty folder', () => {
  const runs = roles.map(({ template }) => {
    const { name, ...source } = template.spec.volumes!.find((one) => one.name === 'runs')!;
    return source;
  });
  const { name } = only(objects, 'PersistentVolumeClaim').metadata;
  assert.deepEqual(runs, [
    { persistentVolumeClaim: { claimName: name } },
    { emptyDir: { sizeLimit: '1Gi' } },
  ]);
});
