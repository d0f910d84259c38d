/** Runs a Python file with real TensorFlow. */
import assert from 'node:assert/strict';
import { ensureTensorflow } from '../../../bench/support/peerPackages.js';
import { runProgram } from '../../../services/setup/subprocess.mjs';

/** The JSON object that it prints; fails with its output where it fails. Installs TensorFlow if it's missing. */
export async function tensorflowPeer<T>(file: string, ...args: string[]): Promise<T> {
  const PYTHONPATH = await ensureTensorflow((line) => process.stderr.write(`${line}\n`));
  const quiet = { PYTHONDONTWRITEBYTECODE: '1', TF_CPP_MIN_LOG_LEVEL: '3' };
  const env = { ...process.env, PYTHONPATH, ...quiet };
  const { code, output } = await runProgram('python3', [file, ...args], { env });
  assert.equal(code, 0, output);
  return JSON.parse(output.slice(output.indexOf('{'))) as T;
}
