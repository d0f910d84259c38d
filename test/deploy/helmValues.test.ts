/** Values that can't be meant are refused before anything reaches a cluster, and the reason is named. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { template, VARIANTS } from '../support/deploy/chart.js';

/** What is set beside the chart's own values, and what the refusal says. */
const REFUSED: readonly (readonly [set: string, said: RegExp])[] = [
  ['teacher.replica=3', /'replica' not allowed/],
  ['teacher.replicas=-1', /replicas.*minimum/s],
  ['teacher.replicas=two', /replicas.*string.*integer/s],
  ['teacher.weights.file=teacher.pth', /weights\/file.*pattern/s],
  ['teacher.digest=sha256:12', /digest.*pattern/s],
  ['teacher.resources.limits.memory=6 GB', /memory.*pattern/s],
  ['teacher.resources.limits.nvidia\\.com/gpu=2', /'nvidia.com\/gpu' not allowed/],
  ['teacher.config.batch.maxImages=0', /maxImages.*minimum/s],
  ['teacher.config.batch.maxImage=4', /'maxImage' not allowed/],
  ['teacher.config.listen.port=1', /'listen' not allowed/],
  ['teacher.config.checkpoint=/a.safetensors', /'checkpoint' not allowed/],
  ['teacher.autoscaling.prometheus=prometheus:9090', /prometheus.*pattern/s],
  ['student.config.train.steps=many', /steps.*string.*integer/s],
  ['student.config.teacher.encoding=int4', /encoding/],
  ['student.config.run.id=other', /'id' not allowed/],
  ['student.config.loss.weights.memory_pixels=1', /'memory_pixels' not allowed/],
  ['student.config.data.train.kind=kitti', /data\/train/],
  ['student.run.id=my run', /run\/id.*pattern/s],
  ['student.run.accessMode=ReadOnlyMany', /accessMode/],
  ['student.teacherAddresses={teachers}', /teacherAddresses.*pattern/s],
  ['tls.issuer.kind=Authority', /kind/],
  ['monitoring.podMonitor.intervalSeconds=60', /intervalSeconds.*maximum/s],
  ['monitoring.podMonitor.interval=15s', /'interval' not allowed/],
  ['monitoring.rules.runbooks=git.example', /runbooks.*pattern/s],
  ['networkPolicies.enabled=false', /'networkPolicies' not allowed/],
  ['teacher.sidecar=true', /sidecar/],
  ['teacher.config.graph.onnx=/weights/teacher.onx', /onnx.*pattern/s],
  ['kserve.name=My Runtime', /kserve\/name.*pattern/s],
  // Across values: the schema can't see these, a template does.
  ['token.secret=cirkd-token', /token\.secret: given without tls\.enabled/],
  ['teacher.autoscaling.minReplicas=9', /minReplicas 9, wanted at most maxReplicas, 8/],
  ['teacher.maxSurge=0,teacher.maxUnavailable=0%', /maxSurge, teacher\.maxUnavailable: both 0/],
  ['teacher.sidecar.enabled=true', /sidecar\.enabled: true without student\.enabled/],
  [
    'teacher.sidecar.enabled=true,student.enabled=true,tls.enabled=true',
    /tls\.enabled: true with teacher\.sidecar\.enabled/,
  ],
  [
    'teacher.enabled=false,student.enabled=true,teacher.autoscaling.enabled=true',
    /autoscaling\.enabled: true without teacher\.enabled/,
  ],
  ['teacher.enabled=false', /teacher\.enabled, student\.enabled: both false/],
];

for (const [set, said] of REFUSED) {
  test(`refused: ${set}`, async () => {
    const { code, output } = await template(['--set', set]);
    assert.notEqual(code, 0, output);
    assert.match(output, said);
  });
}

test('refused: a recipe that is no YAML, teachers elsewhere that no policy lets through', async () => {
  const student = ['--set', 'student.enabled=true'];
  const torn = await template([...student, '--set-string', 'student.recipe=seed: [0']);
  assert.notEqual(torn.code, 0);
  assert.match(torn.output, /student\.recipe: /);
  const far = await template([...VARIANTS.run, '--set', 'networkPolicy.teachers=null']);
  assert.notEqual(far.code, 0);
  assert.match(far.output, /networkPolicy\.teachers: /);
});

test('taken: keys of a recipe one by one, null for a key that shall go, percentages', async () => {
  const sets = [
    ...['teacher.config.drainMs=5000', 'teacher.maxUnavailable=25%', 'teacher.gpu=true'],
    ...['student.config.data.train.root=/dataset/camvid', 'student.config.train.steps=5'],
    ...['teacher.config.warmUp=null', 'teacher.resources.requests.cpu=2500m'],
    // As the program takes it.
    'teacher.config.graph.onnx=/weights/CITY.ONNX',
  ];
  const { code, output } = await template(['--set', sets.join(',')]);
  assert.equal(code, 0, output);
});
