/** A real Triton that serves models of its Python backend, on the CPU. */
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ChannelCredentials } from '@grpc/grpc-js';
import { ensureTritonModels } from '../../../../bench/support/peerPackages.js';
import { freePort, PeerServer } from './peerServer.js';
import type { Datatype, ServedModel, ServedTensor } from './servedModel.js';
import { ensureTriton } from './tritonInstall.js';

const MODEL_FILE = fileURLToPath(new URL('tritonModel.py', import.meta.url));
const SHARED_MEMORY = '/dev/shm';
const TYPES: Readonly<Record<Datatype, string>> = {
  FP32: 'TYPE_FP32',
  FP16: 'TYPE_FP16',
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
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const [install, packages] = [await ensureTriton(), await ensureTritonModels(say)];
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

function writeModel(folder: string, model: ServedModel): void {
  mkdirSync(join(folder, '1'), { recursive: true });
  copyFileSync(MODEL_FILE, join(folder, '1', 'model.py'));
  if ('onnx' in model) copyFileSync(model.onnx, join(folder, '1', 'model.onnx'));
  writeFileSync(join(folder, 'config.pbtxt'), configOf(model));
}

/** Triton's config.pbtxt. */
function configOf(model: ServedModel): string {
  const { maxBatchSize = 0, delayMs = 0 } = model;
  const parameters = {
    delayMs: String(delayMs),
    ...('onnx' in model
      ? { onnx: 'model.onnx', threads: String(model.threads ?? 1) }
      : { fixed: JSON.stringify(model.fixed) }),
  };
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

function removeRegions(prefix: string): void {
  for (const name of readdirSync(SHARED_MEMORY)) {
    if (name.startsWith(prefix)) rmSync(join(SHARED_MEMORY, name), { force: true });
  }
}
