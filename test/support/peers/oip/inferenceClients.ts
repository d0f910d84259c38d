/** Runs a Python file with a client of the Open Inference Protocol that others wrote. */
import assert from 'node:assert/strict';
import { ensureKserve, ensureTritonclient } from '../../../../bench/support/peerPackages.js';
import { runProgram } from '../../../../services/setup/subprocess.mjs';

const say = (line: string) => process.stderr.write(`${line}\n`);
const LIMIT_MS = 180_000;

/** The JSON object that it prints; fails with its output where it fails. */
export async function tritonclientPeer<T>(file: string, ...args: string[]): Promise<T> {
  return runPeer<T>(await ensureTritonclient(say), file, args);
}

/** The same with KServe's client. */
export async function kservePeer<T>(file: string, ...args: string[]): Promise<T> {
  return runPeer<T>(await ensureKserve(say), file, args);
}

async function runPeer<T>(PYTHONPATH: string, file: string, args: readonly string[]): Promise<T> {
  const env = { ...process.env, PYTHONPATH, PYTHONDONTWRITEBYTECODE: '1' };
  const options = { env, timeoutMs: LIMIT_MS };
  const { code, output } = await runProgram('python3', [file, ...args], options);
  assert.equal(code, 0, output);
  return JSON.parse(output.slice(output.indexOf('{'))) as T;
}
