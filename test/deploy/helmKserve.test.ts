/** KServe's runtime: the object, the InferenceService for it, and its command with real models. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parse } from 'yaml';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { healthOf } from '../support/connections/grpcProbes.js';
import { KUBE_VERSIONS, only, ROOT, render, VARIANTS } from '../support/deploy/chart.js';
import { type Container, type PodSpec, restrictedFaults } from '../support/deploy/kube.js';
import { validate } from '../support/deploy/objectSchemas.js';
import { eventually } from '../support/eventually.js';
import { OipPeer } from '../support/oip/oipPeer.js';

interface Runtime {
  readonly annotations: Readonly<Record<string, string>>;
  readonly protocolVersions: readonly string[];
  readonly supportedModelFormats: readonly {
    readonly name: string;
    readonly version: string;
    readonly autoSelect: boolean;
  }[];
  readonly containers: readonly (Container & {
    readonly livenessProbe: { readonly tcpSocket: { readonly port: number } };
  })[];
  readonly volumes: PodSpec['volumes'];
}

const folder = mkdtempSync(join(tmpdir(), 'cirkd-kserve-'));
const processes: CirkdProcess[] = [];
after(() => {
  for (const one of processes) one.kill();
  rmSync(folder, { recursive: true, force: true });
});

const runtimeOf = async (...given: readonly string[]) =>
  only(await render(...VARIANTS.kserve, ...given), 'ClusterServingRuntime');
const specOf = (object: { readonly spec: unknown }) => object.spec as Runtime;

const runtime = await runtimeOf();
const container = specOf(runtime).containers[0]!;
const example = parse(readFileSync(join(ROOT, 'deploy/kubernetes/inferenceservice.yaml'), 'utf8'));

test('the runtime is what KServe looks for: container, protocol, port, formats', async () => {
  const { protocolVersions, supportedModelFormats } = specOf(runtime);
  assert.equal(runtime.metadata.name, 'cirkd');
  assert.equal(container.name, 'kserve-container');
  assert.deepEqual(protocolVersions, ['grpc-v2']);
  const [{ name, containerPort } = { name: '', containerPort: 0 }, ...others] = container.ports!;
  assert.deepEqual([name, others.length], ['h2c', 0]);
  assert.equal(container.readinessProbe?.grpc.port, containerPort);
  assert.equal(container.livenessProbe.tcpSocket.port, containerPort);
  const chosen = (formats: typeof supportedModelFormats) =>
    Object.fromEntries(formats.map((one) => [one.name, one.autoSelect]));
  assert.deepEqual(chosen(supportedModelFormats), { cirkd: true, onnx: false, tensorflow: false });
  const all = specOf(await runtimeOf('--set', 'kserve.autoSelect=true,kserve.name=other'));
  assert.deepEqual(chosen(all.supportedModelFormats), {
    cirkd: true,
    onnx: true,
    tensorflow: true,
  });
});

test("it keeps the restricted profile without a pod's security context, and writes to /tmp alone", () => {
  const { volumes, containers } = specOf(runtime);
  const pod = { securityContext: container.securityContext, automountServiceAccountToken: false };
  assert.deepEqual(restrictedFaults({ ...pod, volumes, containers } as unknown as PodSpec), []);
  assert.deepEqual(container.volumeMounts, [{ name: 'tmp', mountPath: '/tmp' }]);
});

test('the InferenceService is valid and names this runtime, a format of it and its protocol', async () => {
  const validity = await validate([example], KUBE_VERSIONS);
  assert.deepEqual(validity, { checked: { InferenceService: 1 }, faults: [] });
  const { model } = example.spec.predictor;
  assert.equal(model.runtime, runtime.metadata.name);
  assert.ok(specOf(runtime).protocolVersions.includes(model.protocolVersion));
  const { supportedModelFormats } = specOf(runtime);
  assert.ok(
    supportedModelFormats.some(
      ({ name, version }) =>
        name === model.modelFormat.name && version === model.modelFormat.version,
    ),
  );
  const wrong = structuredClone(example);
  wrong.spec.predictor.model.modelFormats = wrong.spec.predictor.model.modelFormat;
  assert.match((await validate([wrong], KUBE_VERSIONS)).faults.join(), /modelFormats/);
});

/** As KServe does: the name in place of its template, the model in place of /mnt/models. */
function argsFor(models: string): string[] {
  return container.args.map((arg) =>
    arg.replace('/mnt/models', models).replace('{{.Name}}', 'city-teacher'),
  );
}

test('its command serves the model that KServe has put there', async () => {
  assert.ok(container.args.includes('--set=oip.modelName={{.Name}}'));
  const models = join(folder, 'models');
  mkdirSync(models);
  cpSync(join(ROOT, 'examples/demo/teacher.safetensors'), join(models, 'city.safetensors'));
  const free = ['--port=0', '--set', 'metrics.port=0', '--set', 'listen.host=127.0.0.1'];
  const teacher = new CirkdProcess(...argsFor(models), ...free);
  processes.push(teacher);
  const [, port] = await teacher.says(/"grpc":"[^"]*:(\d+)"/);
  await eventually(() => teacher.stdout !== '' || teacher.exitCode !== undefined);
  assert.match(teacher.stdout, /^teacher ready: /);
  assert.equal(await healthOf(Number(port), ''), 'SERVING');
  const client = new OipPeer(Number(port));
  assert.deepEqual(await client.call('ModelReady', { name: 'city-teacher' }), { ready: true });
  client.close();
  teacher.signal('SIGTERM');
  assert.equal(await teacher.exit(), 0);
});

test('without a model, or with two: exit code 2, and what is there is named', async () => {
  const models = join(folder, 'none');
  mkdirSync(models);
  const teacher = new CirkdProcess(...argsFor(models));
  processes.push(teacher);
  assert.equal(await teacher.exit(), 2);
  assert.match(teacher.stderr, /--model: \S+none contains none of them, wanted one \.safetensors/);
});
