/**
 * The answer to one attempt, assembled from its chunks. A chunk's fields are checked before any memory is
 * allocated for it; its data is copied once, from where the connection was read to a buffer that nothing else
 * owns. The rows count as received once their checksum is right.
 */
import type { EncodedTensor } from '../../../contract/encodedTensor.js';
import type { OutputName } from '../../../contract/outputs.js';
import { replyOfOutputs, type TeacherReply } from '../../../contract/teacher.js';
import { sameShape } from '../../../wire/checkTensor.js';
import { crc32c } from '../../../wire/crc32c.js';
import { type ExpectedOutput, rowBytes } from '../../codec/outputShapes.js';
import type { ChunkHead, TensorChunkView } from './tensorChunk.js';

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
  /** Rows before it were received. */
  nextRow: number;
  /** Rows before it were received, or have been given to chunks that are arriving. */
  placedRow: number;
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
          { expected, rows, rowBytes: rowBytes(expected), nextRow: 0, placedRow: 0, data: null },
        ];
      }),
    );
    this.#missing = outputs.length;
  }

  /**
   * Where a chunk that is about to arrive belongs: `accept` it when all of its data is there, before any later
   * chunk. Undefined for one that isn't wanted next: `accept` then says why.
   */
  place({ chunk, dataBytes }: ChunkHead): Uint8Array | undefined {
    const tensor = chunk.output && this.#tensors.get(chunk.output);
    if (tensor === undefined) return undefined;
    if (fieldFault(tensor, tensor.placedRow, chunk, dataBytes) !== undefined) return undefined;
    tensor.placedRow = chunk.rowEnd;
    return placeOf(tensor, chunk);
  }

  /**
   * Returns true if this was the last missing chunk. Throws ChunkError; the attempt has failed then, nothing more
   * may be accepted for it.
   */
  accept(chunk: TensorChunkView): boolean {
    const tensor = chunk.output && this.#tensors.get(chunk.output);
    if (tensor === undefined) {
      const wanted = [...this.#tensors.keys()].join(', ');
      throw new ChunkError('shape', `output: ${chunk.output ?? 'unknown'} given, wanted ${wanted}`);
    }
    const fault = fieldFault(tensor, tensor.nextRow, chunk, chunk.data.length);
    if (fault !== undefined) throw new ChunkError('shape', fault);
    checkSum(tensor, chunk);
    if (chunk.data.buffer !== tensor.data) put(tensor, chunk);
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

/** Where the chunk's rows are in the tensor's memory, which is allocated for the first one. */
function placeOf(tensor: PartialTensor, { rowBegin, rowEnd }: TensorChunkView): Uint8Array {
  tensor.data ??= uninitialised(tensor.rows * tensor.rowBytes);
  return new Uint8Array(
    tensor.data,
    rowBegin * tensor.rowBytes,
    (rowEnd - rowBegin) * tensor.rowBytes,
  );
}

/** Copies a chunk that wasn't put in its place as it came. */
function put(tensor: PartialTensor, chunk: TensorChunkView): void {
  if (tensor.placedRow > tensor.nextRow) {
    // Another chunk has this place, and may still be arriving there.
    const { rowBegin, rowEnd } = chunk;
    throw new ChunkError(
      'shape',
      `${tensor.expected.name}: rows [${rowBegin}, ${rowEnd}) given twice`,
    );
  }
  placeOf(tensor, chunk).set(chunk.data);
  tensor.placedRow = chunk.rowEnd;
}

/** What is wrong with a chunk of `dataBytes` bytes where `nextRow` should be its first row. */
function fieldFault(
  { expected, rows, rowBytes }: PartialTensor,
  nextRow: number,
  chunk: TensorChunkView,
  dataBytes: number,
): string | undefined {
  const { name, dtype, shape } = expected;
  if (chunk.dtype !== dtype) {
    return `${name}: dtype ${chunk.dtype ?? 'unknown'} given, wanted ${dtype}`;
  }
  if (!sameShape(chunk.shape, shape)) {
    return `${name}: shape [${chunk.shape}] given, wanted [${shape}]`;
  }
  const { rowBegin, rowEnd } = chunk;
  if (rowBegin !== nextRow || rowEnd <= rowBegin || rowEnd > rows) {
    return `${name}: rows [${rowBegin}, ${rowEnd}) given, wanted from ${nextRow} up to ${rows}`;
  }
  const wantedBytes = (rowEnd - rowBegin) * rowBytes;
  if (dataBytes !== wantedBytes) {
    return `${name}: ${dataBytes} bytes given, wanted ${wantedBytes}`;
  }
  return undefined;
}

function checkSum({ expected: { name } }: PartialTensor, chunk: TensorChunkView): void {
  const sum = chunk.receivedCrc32c ?? crc32c(chunk.data);
  if (sum === chunk.crc32c) return;
  const [given, received] = [hex(chunk.crc32c), hex(sum)];
  throw new ChunkError(
    'crc',
    `${name}: crc32c ${given} given, the bytes received have ${received}`,
  );
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
