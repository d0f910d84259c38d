/** libtensorflow in the cache, the addon in the clone, and TensorFlow tried in a child process. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { addonIsReady, linkedFlavour } from '../../setup/addon.mjs';
import { cacheRoot } from '../../setup/cache.mjs';
import { TENSORFLOW_WHEELS } from '../../setup/pins.mjs';
import { runProgram } from '../../setup/subprocess.mjs';
import { flavourOf, isComplete, tensorflowDirectory } from '../../setup/tensorflow.mjs';
import type { Check } from './check.js';
import type { Probe } from './probe.js';

const PROBE_TIMEOUT_MS = 120_000;

export async function checkLibrary(root: string): Promise<Check> {
  const name = 'libtensorflow';
  const [cache, flavour] = [cacheRoot(process.env), flavourOf(process.env, linkedFlavour(root))];
  const directory = tensorflowDirectory(cache, flavour);
  const { version, megabytes } = TENSORFLOW_WHEELS[flavour];
  const data = { version, flavour, directory };
  if (await isComplete(directory)) {
    const cuda = flavour === 'cuda' ? ', CUDA' : ', CPU';
    return { name, status: 'ok', detail: `${version}${cuda}, in ${directory}`, data };
  }
  const detail = existsSync(directory)
    ? `${directory} is damaged`
    : `${version} (${flavour}) is not in the cache ${cache}`;
  const mend = `npm run setup (downloads ${megabytes} MB)`;
  return { name, status: 'missing', detail, mend, data };
}

export function checkAddon(root: string): Check {
  const name = 'tfjs-node addon';
  const cache = cacheRoot(process.env);
  const directory = tensorflowDirectory(cache, flavourOf(process.env, linkedFlavour(root)));
  let ready = false;
  try {
    ready = addonIsReady(root, directory, cache);
  } catch {
    // @tensorflow/tfjs-node-gpu itself is missing.
  }
  if (ready) return { name, status: 'ok', detail: 'built and linked to libtensorflow' };
  const detail = 'not built, or linked to another libtensorflow';
  return { name, status: 'missing', detail, mend: 'npm run setup' };
}

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
    return [{ name, status: 'missing', ...failure(outcome.output, outcome.signal) }];
  }
  const { probe } = JSON.parse(line) as { probe: Probe };
  const oneDnn = /oneDNN custom operations are on/.test(outcome.output);
  const detail =
    `TensorFlow ${probe.tensorflow} through tfjs ${probe.tfjs}, oneDNN ${oneDnn ? 'on' : 'off'}, ` +
    `${probe.intraOpThreads} threads, matmul ${probe.gflops.toFixed(0)} GFLOP/s`;
  return [
    { name, status: 'ok', detail, data: { ...probe, oneDnn } },
    await checkGpu(probe.device === 'gpu'),
  ];
}

function failure(output: string, signal: string | null): { detail: string; mend: string } {
  if (signal === 'SIGILL' || (signal === 'SIGABRT' && !hasAvx())) {
    return {
      detail: `stopped by ${signal}: the processor lacks instructions that libtensorflow uses`,
      mend: 'run it on a processor with AVX',
    };
  }
  const told = output.split('\n').filter((line) => /^cirkd: |rror/.test(line));
  const why = told[0] ?? (signal === null ? 'it said nothing' : `stopped by ${signal}`);
  return { detail: `does not load: ${why}`, mend: 'npm run setup' };
}

function hasAvx(): boolean {
  return /\bavx\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
}

async function checkGpu(used: boolean): Promise<Check> {
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
    mend: 'for the CUDA library: CIRKD_TENSORFLOW=cuda npm run setup',
    data,
  };
}
