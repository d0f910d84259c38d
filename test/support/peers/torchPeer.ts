/** Runs a Python file with real PyTorch, and with this project's networks in it. */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import {
  ensureOnnxExporter,
  ensureTorch,
  ensureTorchvision,
  pythonEnvironment,
} from '../../../bench/support/peerPackages.js';
import { ensurePython } from '../../../bench/support/pythonPackages.js';
import { runProgram } from '../../../services/setup/subprocess.mjs';

/** For PYTHONPATH: networks.py and its parts. */
export const NETWORKS = fileURLToPath(new URL('../torch', import.meta.url));

const say = (line: string) => process.stderr.write(`${line}\n`);

/** The JSON object that it prints; fails with its output where it fails. Installs PyTorch if it's missing. */
export async function torchPeer<T>(file: string, ...args: string[]): Promise<T> {
  return runPeer<T>([await ensureTorch(say)], file, args);
}

/** The same with torchvision and mmsegmentation. */
export async function packagesPeer<T>(file: string, ...args: string[]): Promise<T> {
  const packages = [await ensureTorch(say), await ensureTorchvision(say)];
  return runPeer<T>([...packages, ...(await ensureMmsegmentation())], file, args);
}

/** With what torch.onnx.export needs besides. */
export async function exporterPeer<T>(file: string, ...args: string[]): Promise<T> {
  const packages = [await ensureTorch(say), await ensureTorchvision(say)];
  const mmsegmentation = await ensureMmsegmentation();
  const exporter = await ensureOnnxExporter(say);
  return runPeer<T>([...packages, ...mmsegmentation, exporter], file, args);
}

/** The same with transformers, too. */
export async function transformersPeer<T>(file: string, ...args: string[]): Promise<T> {
  const packages = [await ensureTorch(say), await ensureTorchvision(say)];
  const mmsegmentation = await ensureMmsegmentation();
  return runPeer<T>([...packages, ...mmsegmentation, await ensureTransformers()], file, args);
}

/** transformers and what it needs besides the others' packages; no weights are downloaded. */
export function ensureTransformers(): Promise<string> {
  const required = {
    ...{ 'huggingface-hub': '0.36.0', tokenizers: '0.22.1', safetensors: '0.7.0', tqdm: '4.67.1' },
    ...{ requests: '2.32.5', urllib3: '2.6.0', idna: '3.11', certifi: '2025.11.12' },
    'charset-normalizer': '3.4.4',
  };
  return ensurePython({ transformers: '4.57.3', ...required }, say, { alone: true });
}

/**
 * mmsegmentation and what it needs besides PyTorch and torchvision, for PYTHONPATH. mmcv-lite is mmcv
 * without its compiled operators, which the networks of the zoo don't have.
 */
export async function ensureMmsegmentation(): Promise<string[]> {
  const own = { mmsegmentation: '1.2.2', 'mmcv-lite': '2.1.0', mmengine: '0.10.7' };
  const required = {
    ...{ addict: '2.4.0', yapf: '0.43.0', platformdirs: '4.14.8', rich: '15.0.0' },
    ...{ termcolor: '3.3.0', packaging: '26.4', ftfy: '6.3.1', regex: '2026.11.19' },
    ...{ wcwidth: '0.9.4', pyyaml: '6.0.4', scipy: '1.17.1' },
    'opencv-python-headless': '5.0.0.93',
  };
  const alone = { alone: true };
  return [await ensurePython(own, say, alone), await ensurePython(required, say, alone)];
}

async function runPeer<T>(
  packages: readonly string[],
  file: string,
  args: readonly string[],
): Promise<T> {
  const env = pythonEnvironment(...packages, NETWORKS);
  const { code, output } = await runProgram('python3', [file, ...args], { env });
  assert.equal(code, 0, output);
  return JSON.parse(output.slice(output.indexOf('{'))) as T;
}
