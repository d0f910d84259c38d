/**
 * The answer to one attempt, assembled from its chunks. Each chunk is checked completely before any
 * memory is allocated for it; its data is copied once, into a buffer that nothing else owns.
 */
import type { EncodedTensor } from '../../../contract/encodedTensor.js';
import type { OutputName } from '../../../contract/outputs.js';
import { replyOfOutputs, type TeacherReply } from '../../../contract/teacher.js';
import { sameShape } from '../../../wire/checkTensor.js';
import { crc32c } from '../../../wire/crc32c.js';
import { type ExpectedOutput, rowBytes } from '../../codec/outputShapes.js';
import type { TensorChunkView } from './responseDecoder.js';

/** A chunk that breaks the agreement. The message names the field, the value and the expected one. */
export class ChunkError extends Error {
  override readonly name = 'ChunkError';
  readonly reason: 'crc' | 'shape';

  constructor(reason: 'crc' | 'shape', message: string) {
    super(message);
    this.reason = reason;
  }
}

interface PartialTensor {
  readonly expected: ExpectedOutput;
  readonly rows: number;
  readonly rowBytes: number;
  nextRow: number;
  data: ArrayBuffer | null;
}

export class ReplyAssembly {
  readonly #tensors: Map<OutputName, PartialTensor>;
  #missing: number;

  constructor(outputs: readonly ExpectedOutput[]) {
    this.#tensors = new Map(
      outputs.map((expected) => {
        const rows = expected.shape[0]!;
        return [
          expected.name,
          { expected, rows, rowBytes: rowBytes(expected), nextRow: 0, data: null },
        ];
      }),
    );
    this.#missing = outputs.length;
  }

  /** Returns true if this was the last missing chunk. If it throws ChunkError, nothing has changed. */
  accept(chunk: TensorChunkView): boolean {
    const tensor = chunk.output && this.#tensors.get(chunk.output);
    if (tensor === undefined) {
      const wanted = [...this.#tensors.keys()].join(', ');
      throw new ChunkError('shape', `output: ${chunk.output ?? 'unknown'} given, wanted ${wanted}`);
    }
    checkChunk(tensor, chunk);
    tensor.data ??= uninitialised(tensor.rows * tensor.rowBytes);
    new Uint8Array(tensor.data).set(chunk.data, chunk.rowBegin * tensor.rowBytes);
    tensor.nextRow = chunk.rowEnd;
    if (tensor.nextRow === tensor.rows) {
      this.#missing--;
    }
    return this.#missing === 0;
  }

  /** The whole answer. Call once `accept` has returned true. */
  reply(): TeacherReply {
    return replyOfOutputs((name) => (this.#tensors.has(name) ? this.tensor(name) : null));
  }

  /** One output of the answer. */
  tensor(name: OutputName): EncodedTensor {
    const tensor = this.#tensors.get(name);
    if (tensor === undefined || tensor.data === null || tensor.nextRow !== tensor.rows) {
      throw new Error(`${name}: read before it was complete`);
    }
    return { dtype: tensor.expected.dtype, shape: tensor.expected.shape, data: tensor.data };
  }
}

/** An uninitialised buffer: an answer is handed on only after every byte was written. */
function uninitialised(bytes: number): ArrayBuffer {
  return Buffer.allocUnsafeSlow(bytes).buffer as ArrayBuffer;
}

function checkChunk(tensor: PartialTensor, chunk: TensorChunkView): void {
  const { name, dtype, shape } = tensor.expected;
  if (chunk.dtype !== dtype) {
    throw new ChunkError(
      'shape',
      `${name}: dtype ${chunk.dtype ?? 'unknown'} given, wanted ${dtype}`,
    );
  }
  if (!sameShape(chunk.shape, shape)) {
    throw new ChunkError('shape', `${name}: shape [${chunk.shape}] given, wanted [${shape}]`);
  }
  const { rowBegin, rowEnd } = chunk;
  if (rowBegin !== tensor.nextRow || rowEnd <= rowBegin || rowEnd > tensor.rows) {
    throw new ChunkError(
      'shape',
      `${name}: rows [${rowBegin}, ${rowEnd}) given, wanted from ${tensor.nextRow} up to ${tensor.rows}`,
    );
  }
  const wantedBytes = (rowEnd - rowBegin) * tensor.rowBytes;
  if (chunk.data.length !== wantedBytes) {
    throw new ChunkError(
      'shape',
      `${name}: ${chunk.data.length} bytes given, wanted ${wantedBytes}`,
    );
  }
  const sum = crc32c(chunk.data);
  if (sum !== chunk.crc32c) {
    throw new ChunkError(
      'crc',
      `${name}: crc32c ${hex(chunk.crc32c)} given, the bytes received have ${hex(sum)}`,
    );
  }
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
