/** Runs a Python file with real TensorFlow. */
import assert from 'node:assert/strict';
import { ensurePython } from '../../../bench/support/pythonPackages.js';
import { TENSORFLOW_WHEELS } from '../../../services/setup/pins.mjs';
import { runProgram } from '../../../services/setup/subprocess.mjs';

/** The JSON object that it prints; fails with its output where it fails. Installs TensorFlow if it's missing. */
export async function tensorflowPeer<T>(file: string, ...args: string[]): Promise<T> {
  const PYTHONPATH = await ensureTensorflowPackage();
  const quiet = { PYTHONDONTWRITEBYTECODE: '1', TF_CPP_MIN_LOG_LEVEL: '3' };
  const env = { ...process.env, PYTHONPATH, ...quiet };
  const { code, output } = await runProgram('python3', [file, ...args], { env });
  assert.equal(code, 0, output);
  return JSON.parse(output.slice(output.indexOf('{'))) as T;
}

/** The release whose libraries the set-up takes, with Keras and NumPy (1.8 GB): a folder for PYTHONPATH. */
export function ensureTensorflowPackage(): Promise<string> {
  const { project, version } = TENSORFLOW_WHEELS.cpu;
  return ensurePython({ [project]: version }, (line) => process.stderr.write(`${line}\n`));
}
