/** A real Triton that serves models of its Python backend, on the CPU. */
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ChannelCredentials } from '@grpc/grpc-js';
import { ensureTorch, ensureTritonModels } from '../../../../bench/support/peerPackages.js';
import { NETWORKS } from '../torchPeer.js';
import { freePort, PeerServer } from './peerServer.js';
import type { Datatype, ServedModel, ServedTensor } from './servedModel.js';
import { ensureTriton } from './tritonInstall.js';

const MODEL_FILE = fileURLToPath(new URL('tritonModel.py', import.meta.url));
const TORCH_MODEL_FILE = fileURLToPath(new URL('tritonTorchModel.py', import.meta.url));
const say = (line: string) => process.stderr.write(`${line}\n`);
const SHARED_MEMORY = '/dev/shm';
const TYPES: Readonly<Record<Datatype, string>> = {
  FP32: 'TYPE_FP32',
  FP16: 'TYPE_FP16',
  BF16: 'TYPE_BF16',
  UINT8: 'TYPE_UINT8',
};

interface TritonChoices {
  /** Of tritonserver besides. */
  readonly flags?: readonly string[];
  /** For the question whether it is ready, where it has TLS. */
  readonly credentials?: ChannelCredentials;
}

export async function startTriton(
  models: readonly ServedModel[],
  { flags = [], credentials }: TritonChoices = {},
): Promise<PeerServer> {
  const [install, packages] = [await ensureTriton(), await packagesOf(models)];
  const folder = mkdtempSync(join(tmpdir(), 'cirkd-triton-'));
  for (const model of models) writeModel(join(folder, model.name), model);
  const port = await freePort();
  // Told apart from other servers' regions, as a killed one leaves its own behind.
  const regions = basename(folder);
  const args = [
    `--model-repository=${folder}`,
    `--backend-directory=${install.backends}`,
    `--backend-config=python,shm-region-prefix-name=${regions}`,
    ...['--allow-http=false', '--allow-metrics=false', '--exit-timeout-secs=5'],
    ...['--grpc-address=127.0.0.1', `--grpc-port=${port}`],
    ...flags,
  ];
  const env = {
    ...process.env,
    // The backend's Python takes no PYTHONPATH.
    CIRKD_PEER_PACKAGES: packages,
    ...{ LD_LIBRARY_PATH: install.libraries, CUDA_VISIBLE_DEVICES: '' },
    ...{ OMP_NUM_THREADS: '1', PYTHONDONTWRITEBYTECODE: '1' },
  };
  return PeerServer.start({
    name: 'Triton',
    command: { program: install.program, args, env, cwd: folder },
    port,
    models: models.map(({ name }) => name),
    ...(credentials === undefined ? {} : { credentials }),
    cleanUp: () => removeRegions(regions),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  });
}

/** For Python's path. */
async function packagesOf(models: readonly ServedModel[]): Promise<string> {
  const packages = [await ensureTritonModels(say)];
  if (models.some((model) => 'state' in model)) packages.push(await ensureTorch(say), NETWORKS);
  return packages.join(delimiter);
}

function writeModel(folder: string, model: ServedModel): void {
  mkdirSync(join(folder, '1'), { recursive: true });
  const file = (name: string) => join(folder, '1', name);
  copyFileSync('state' in model ? TORCH_MODEL_FILE : MODEL_FILE, file('model.py'));
  if ('onnx' in model) copyFileSync(model.onnx, file('model.onnx'));
  if ('state' in model) copyFileSync(model.state, file('state.pth'));
  writeFileSync(join(folder, 'config.pbtxt'), configOf(model));
}

/** Triton's config.pbtxt. */
function configOf(model: ServedModel): string {
  const { maxBatchSize = 0, delayMs = 0 } = model;
  const parameters = { delayMs: String(delayMs), ...kindOf(model) };
  const tensorText = ({ name, datatype, shape }: ServedTensor) => {
    const dims = maxBatchSize === 0 ? shape : shape.slice(1);
    return `{ name: "${name}", data_type: ${TYPES[datatype]}, dims: [${dims.join(', ')}] }`;
  };
  return [
    `name: "${model.name}"`,
    'backend: "python"',
    `max_batch_size: ${maxBatchSize}`,
    'instance_group [{ kind: KIND_CPU, count: 1 }]',
    ...model.inputs.map((tensor) => `input [${tensorText(tensor)}]`),
    ...model.outputs.map((tensor) => `output [${tensorText(tensor)}]`),
    ...Object.entries(parameters).map(
      ([key, value]) =>
        `parameters [{ key: "${key}", value: { string_value: ${JSON.stringify(value)} } }]`,
    ),
  ].join('\n');
}

/** Parameters of its kind of model, as the model's file reads them. */
function kindOf(model: ServedModel): Readonly<Record<string, string>> {
  if ('onnx' in model) return { onnx: 'model.onnx', threads: String(model.threads ?? 1) };
  if ('fixed' in model) return { fixed: JSON.stringify(model.fixed) };
  return { state: 'state.pth', network: JSON.stringify(model.network) };
}

function removeRegions(prefix: string): void {
  for (const name of readdirSync(SHARED_MEMORY)) {
    if (name.startsWith(prefix)) rmSync(join(SHARED_MEMORY, name), { force: true });
  }
}
