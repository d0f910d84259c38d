/** Runs ONNX graphs with onnxruntime in this process. The only importer of onnxruntime-node. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { float32, readFloat32, type Tensor } from '../tensor/index.js';
import { CheckpointError } from '../wire/checkpointError.js';
import { decodeHalf, encodeHalf } from '../wire/half.js';
import { printable, withoutControls } from '../wire/printable.js';
import type { Graph, GraphTensor } from './graph.js';
import { ProviderError } from './providerError.js';
import { type OnnxFile, readOnnxFile } from './onnxFile.js';
import { availableCores } from '../threads/availableCores.js';

export type OnnxProvider = 'cpu' | 'cuda';

export interface OnnxOptions {
  readonly provider: OnnxProvider;
  /** Threads within one operation; 0: all cores. */
  readonly threads: number;
}

/** Dtypes in which an image can be fed. */
const INPUT_DTYPES = ['float32', 'float16', 'uint8'];
const PACKAGE = 'onnxruntime-node';
const CUDA_LIBRARIES = ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'];

type Runtime = typeof import('onnxruntime-node');

/**
 * @throws CheckpointError naming the file if it is missing, truncated or not ONNX, has an operator or opset
 *   that onnxruntime doesn't know, lacks external data, or has inputs other than one image
 * @throws ProviderError if the provider's libraries can't be loaded
 */
export async function openOnnxGraph(path: string, options: OnnxOptions): Promise<Graph> {
  try {
    const file = await readOnnxFile(path);
    const input = imageInput(file.inputs);
    if (options.provider === 'cuda') assertCudaLibraries();
    const runtime = await loadRuntime();
    const session = await openSession(runtime, path, file, options);
    return new OnnxGraph(runtime, session, file, input, options.provider);
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    throw new CheckpointError(`ONNX file ${path}: ${error.message}`, { cause: error });
  }
}

async function loadRuntime(): Promise<Runtime> {
  const runtime = await import('onnxruntime-node').catch(refuseMissing);
  // It writes to standard error what its errors say as well.
  runtime.env.logLevel = 'fatal';
  return runtime;
}

/** An optional dependency: npm goes on without it where its install script fails. */
function refuseMissing(error: unknown): never {
  if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND'))
    throw error;
  throw new ProviderError(
    `graph.onnx: the package ${PACKAGE}, which runs ONNX files, is not installed. ` +
      'docs/library.md, section "ONNX", says how to bring it in.',
    { cause: error },
  );
}

async function openSession(
  { InferenceSession }: Runtime,
  path: string,
  { opsets }: OnnxFile,
  { provider, threads }: OnnxOptions,
): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(path, {
      executionProviders: [provider],
      intraOpNumThreads: threads > 0 ? threads : availableCores(),
      interOpNumThreads: 1,
      executionMode: 'sequential',
      logSeverityLevel: 4,
      extra: { session: { use_deterministic_compute: '1' } },
    });
  } catch (error) {
    const why = withoutControls((error as Error).message);
    if (/ExecutionProvider_|shared library/i.test(why)) throw cudaError(why, error);
    throw new CheckpointError(
      `onnxruntime ${version()} does not take it (opsets ${printable(opsets.join(', '))}): ${why}`,
      { cause: error },
    );
  }
}

/** The folder in which onnxruntime looks for its providers' libraries: that of its own library. */
function libraryFolder(): string {
  const { resolve } = createRequire(import.meta.url);
  const { platform, arch } = process;
  return join(dirname(resolve(PACKAGE)), '..', 'bin', 'napi-v6', platform, arch);
}

function assertCudaLibraries(): void {
  const missing = CUDA_LIBRARIES.filter((name) => !existsSync(join(libraryFolder(), name)));
  if (missing.length > 0) throw cudaError(`${missing.join(' and ')} not there`);
}

function cudaError(why: string, cause?: unknown): ProviderError {
  return new ProviderError(
    `graph.provider: cuda given, but onnxruntime's CUDA provider can't be loaded: ${why} ` +
      `(looked in ${libraryFolder()}). docs/setup.md, section GPU, says what it needs.`,
    { cause },
  );
}

function version(): string {
  const manifest = createRequire(import.meta.url)(`${PACKAGE}/package.json`);
  return String((manifest as { version: string }).version);
}

function imageInput(inputs: readonly GraphTensor[]): GraphTensor {
  const [input, ...others] = inputs;
  if (input === undefined || others.length > 0) {
    const given = inputs.map(({ name }) => printable(name)).join(', ') || 'none';
    throw new CheckpointError(`inputs: ${given} given, wanted one, the image`);
  }
  if (INPUT_DTYPES.includes(input.dtype)) return input;
  throw new CheckpointError(
    `input '${printable(input.name)}': ${input.dtype} given, wanted ${INPUT_DTYPES.join(', ')}`,
  );
}

class OnnxGraph implements Graph {
  readonly format = 'onnx';
  readonly runtime: string;
  readonly inputs: readonly GraphTensor[];
  readonly outputs: readonly GraphTensor[];
  readonly hash: string;
  readonly #runtime: Runtime;
  readonly #session: InferenceSession;
  readonly #input: GraphTensor;

  constructor(
    runtime: Runtime,
    session: InferenceSession,
    file: OnnxFile,
    input: GraphTensor,
    provider: OnnxProvider,
  ) {
    this.#runtime = runtime;
    this.#session = session;
    this.#input = input;
    this.runtime = `onnxruntime ${version()} ${provider}`;
    this.inputs = [input];
    this.outputs = file.outputs;
    this.hash = file.hash;
  }

  /** Blocks the calling thread, on which onnxruntime-node computes. */
  async run(image: Tensor, outputs: readonly string[]): Promise<Tensor[]> {
    const feeds = { [this.#input.name]: this.#toInput(image) };
    const results = await this.#session.run(feeds, [...outputs]);
    return outputs.map((name) => {
      const { data, dims } = results[name] as OrtTensor;
      return float32(toFloat32(data), dims);
    });
  }

  close(): Promise<void> {
    return this.#session.release();
  }

  #toInput(image: Tensor): OrtTensor {
    const values = readFloat32(image);
    const { dtype } = this.#input;
    const { Tensor: Made } = this.#runtime;
    const shape = [...image.shape];
    if (dtype === 'float16') return new Made('float16', encodeHalf(values) as never, shape);
    // Clamped and rounded: a resized image has fractional values.
    if (dtype === 'uint8') return new Made('uint8', bytesOf(values), shape);
    return new Made('float32', values, shape);
  }
}

function bytesOf(values: Float32Array): Uint8Array {
  return Uint8Array.from(new Uint8ClampedArray(values));
}

function toFloat32(data: OrtTensor['data']): Float32Array {
  if (data instanceof Float32Array) return data;
  // float16, in a Node.js without Float16Array.
  if (data instanceof Uint16Array) return decodeHalf(data);
  if (ArrayBuffer.isView(data)) return Float32Array.from(data as unknown as ArrayLike<number>);
  throw new Error('an output holds no numbers');
}
