/** Checks TensorFlow in a child process, and the GPU. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setupCommand } from '../../setup/layout.mjs';
import { runProgram } from '../../setup/subprocess.mjs';
import type { Check } from './check.js';
import type { Probe } from './probe.js';

const PROBE_TIMEOUT_MS = 120_000;

/** Loads TensorFlow in a child process, where a crash of the library can do no harm. */
export async function checkTensorflow(root: string): Promise<Check[]> {
  const name = 'TensorFlow runs';
  const outcome = await runProgram(
    process.execPath,
    [join(root, 'services', 'cli', 'bin.mjs'), 'doctor', '--probe'],
    { env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '0' }, timeoutMs: PROBE_TIMEOUT_MS },
  );
  const line = outcome.output.split('\n').find((text) => text.startsWith('{"probe":'));
  if (outcome.code !== 0 || line === undefined) {
    return [{ name, status: 'missing', ...failure(root, outcome.output, outcome.signal) }];
  }
  const { probe } = JSON.parse(line) as { probe: Probe };
  const oneDnn = /oneDNN custom operations are on/.test(outcome.output);
  const detail =
    `TensorFlow ${probe.tensorflow} through tfjs ${probe.tfjs}, oneDNN ${oneDnn ? 'on' : 'off'}, ` +
    `${probe.intraOpThreads} threads, matmul ${probe.gflops.toFixed(0)} GFLOP/s, ` +
    `bfloat16 products: ${probe.bfloat16}`;
  return [
    { name, status: 'ok', detail, data: { ...probe, oneDnn } },
    await checkGpu(root, probe.device === 'gpu'),
  ];
}

function failure(
  root: string,
  output: string,
  signal: string | null,
): { detail: string; mend: string } {
  if (signal === 'SIGILL' || (signal === 'SIGABRT' && !hasAvx())) {
    return {
      detail: `stopped by ${signal}: the processor lacks instructions that libtensorflow uses`,
      mend: 'run it on a processor with AVX',
    };
  }
  const errorLines = output.split('\n').filter((line) => /^cirkd: |rror/.test(line));
  const reason =
    errorLines[0] ?? (signal === null ? 'it printed no error' : `stopped by ${signal}`);
  return { detail: `does not load: ${reason}`, mend: setupCommand(root) };
}

function hasAvx(): boolean {
  return /\bavx\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
}

async function checkGpu(root: string, used: boolean): Promise<Check> {
  const name = 'GPU';
  const settings = ['TF_FORCE_GPU_ALLOW_GROWTH', 'CIRKD_GPU_MEMORY_MIB', 'CUDA_VISIBLE_DEVICES']
    .filter((key) => process.env[key] !== undefined)
    .map((key) => `${key}=${process.env[key]}`)
    .join(' ');
  const query = ['--query-gpu=name,memory.total,memory.free', '--format=csv,noheader'];
  const { code, output } = await runProgram('nvidia-smi', query);
  const seen = code === 0 ? output.trim().split('\n').join('; ') : 'no NVIDIA driver';
  const data = { used, seen, settings };
  if (used) return { name, status: 'ok', detail: `in use: ${seen}; ${settings}`, data };
  if (code !== 0) {
    return { name, status: 'note', detail: `none (${seen}); everything runs on the CPU`, data };
  }
  return {
    name,
    status: 'note',
    detail: `${seen}, but TensorFlow does not use it; ${settings}`,
    mend: `for the CUDA library: CIRKD_TENSORFLOW=cuda ${setupCommand(root)}`,
    data,
  };
}
