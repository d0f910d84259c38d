/** A real MLServer that serves graphs with a runtime of its own kind (mlserverRuntime.py). */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureMlserver } from '../../../../bench/support/peerPackages.js';
import { freePort, PeerServer } from './peerServer.js';
import type { OnnxModel, ServedTensor } from './servedModel.js';

const RUNTIMES = fileURLToPath(new URL('.', import.meta.url));
/** gRPC's default of 4 MiB is less than an image of 512 x 1024 as FP32. */
const MESSAGE_BYTES = 256 * 2 ** 20;

export async function startMlserver(models: readonly OnnxModel[]): Promise<PeerServer> {
  const packages = await ensureMlserver((line) => process.stderr.write(`${line}\n`));
  const folder = mkdtempSync(join(tmpdir(), 'cirkd-mlserver-'));
  for (const model of models) writeModel(join(folder, model.name), model);
  const port = await freePort();
  const settings = {
    ...{ debug: false, host: '127.0.0.1', parallel_workers: 0 },
    ...{ grpc_port: port, http_port: await freePort(), metrics_port: await freePort() },
    ...{ grpc_max_message_length: MESSAGE_BYTES, metrics_dir: join(folder, '.metrics') },
  };
  writeFileSync(join(folder, 'settings.json'), JSON.stringify(settings));
  const PYTHONPATH = [packages, RUNTIMES].join(delimiter);
  const env = {
    ...process.env,
    ...{ PYTHONPATH, PYTHONDONTWRITEBYTECODE: '1', OMP_NUM_THREADS: '1' },
  };
  const start = 'from mlserver.cli import main; main()';
  return PeerServer.start({
    name: 'MLServer',
    command: { program: 'python3', args: ['-c', start, 'start', folder], env, cwd: folder },
    port,
    models: models.map(({ name }) => name),
    cleanUp: () => {},
    remove: () => rmSync(folder, { recursive: true, force: true }),
  });
}

function writeModel(folder: string, model: OnnxModel): void {
  mkdirSync(folder);
  copyFileSync(model.onnx, join(folder, 'model.onnx'));
  const tensor = ({ name, datatype, shape }: ServedTensor) => ({ name, datatype, shape });
  const extra = { threads: model.threads ?? 1, delayMs: model.delayMs ?? 0 };
  const settings = {
    name: model.name,
    implementation: 'mlserverRuntime.OnnxRuntime',
    inputs: model.inputs.map(tensor),
    outputs: model.outputs.map(tensor),
    parameters: { version: '1', uri: './model.onnx', extra },
  };
  writeFileSync(join(folder, 'model-settings.json'), JSON.stringify(settings));
}
