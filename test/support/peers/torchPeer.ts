/** Runs a Python file with real PyTorch, and with this project's networks in it. */
import assert from 'node:assert/strict';
import { delimiter } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  ensureMmsegmentation,
  ensureOnnxExporter,
  ensureTorch,
  ensureTorchvision,
} from '../../../bench/support/peerPackages.js';
import { runProgram } from '../../../services/setup/subprocess.mjs';

/** For PYTHONPATH: networks.py and its parts. */
const NETWORKS = fileURLToPath(new URL('../torch', import.meta.url));

const say = (line: string) => process.stderr.write(`${line}\n`);

/** The JSON object that it prints; fails with its output where it fails. Installs PyTorch if it's missing. */
export async function torchPeer<T>(file: string, ...args: string[]): Promise<T> {
  return runPeer<T>([await ensureTorch(say)], file, args);
}

/** The same with torchvision and mmsegmentation. */
export async function packagesPeer<T>(file: string, ...args: string[]): Promise<T> {
  const packages = [await ensureTorch(say), await ensureTorchvision(say)];
  return runPeer<T>([...packages, ...(await ensureMmsegmentation(say))], file, args);
}

/** With what torch.onnx.export needs besides. */
export async function exporterPeer<T>(file: string, ...args: string[]): Promise<T> {
  const packages = [await ensureTorch(say), await ensureTorchvision(say)];
  const mmsegmentation = await ensureMmsegmentation(say);
  const exporter = await ensureOnnxExporter(say);
  return runPeer<T>([...packages, ...mmsegmentation, exporter], file, args);
}

async function runPeer<T>(
  packages: readonly string[],
  file: string,
  args: readonly string[],
): Promise<T> {
  const PYTHONPATH = [...packages, NETWORKS].join(delimiter);
  const env = { ...process.env, PYTHONPATH, PYTHONDONTWRITEBYTECODE: '1' };
  const { code, output } = await runProgram('python3', [file, ...args], { env });
  assert.equal(code, 0, output);
  return JSON.parse(output.slice(output.indexOf('{'))) as T;
}
