/**
 * Checks a PNG before it is decoded, because the decoder accepts truncated files, unpacks any amount of data
 * and reads missing pixels as zeros.
 */
import { inflateSync } from 'node:zlib';

/** In pixels; sharp has the same limit. */
const MAX_PIXELS = 0x3fff * 0x3fff;

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Chunks that the pixels need. Others are dropped: some, such as colour profiles, would be unpacked, too. */
const NEEDED: ReadonlySet<string> = new Set(['IHDR', 'PLTE', 'IDAT', 'IEND']);
/** Bytes of length and type before a chunk's data, and of the checksum after it. */
const [BEFORE, BEHIND] = [8, 4];
/** Samples per pixel, by colour type. */
const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
/** The seven passes of an interlaced image: first column, first row, step, step. */
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

/**
 * The file without the chunks that its pixels don't need. Checksums are left to the decoder.
 *
 * @throws Error on a file that is incomplete, has too many pixels, or unpacks to another number of bytes
 *   than its header implies. Never unpacks more than that number.
 */
export function wholePng(file: Uint8Array): Uint8Array {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  if (!bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE)) throw new Error('no PNG signature');
  const chunks = chunksOf(bytes);
  const header = chunks[0];
  if (header?.type !== 'IHDR' || header.data.length !== 13) throw new Error('no header');
  const packed = chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data);
  checkPixels(Buffer.concat(packed), scanlineBytes(header.data));
  const needed = chunks.filter(({ type }) => NEEDED.has(type)).map(({ whole }) => whole);
  return new Uint8Array(Buffer.concat([SIGNATURE, ...needed]));
}

interface Chunk {
  readonly type: string;
  readonly data: Buffer;
  readonly whole: Buffer;
}

function chunksOf(bytes: Buffer): Chunk[] {
  const chunks: Chunk[] = [];
  let at = SIGNATURE.length;
  while (at + BEFORE + BEHIND <= bytes.length) {
    const end = at + BEFORE + bytes.readUInt32BE(at) + BEHIND;
    if (end > bytes.length) break;
    const type = bytes.toString('latin1', at + 4, at + BEFORE);
    const [data, whole] = [bytes.subarray(at + BEFORE, end - BEHIND), bytes.subarray(at, end)];
    chunks.push({ type, data, whole });
    if (type === 'IEND') return chunks;
    at = end;
  }
  throw new Error(`truncated: ${bytes.length} bytes without an IEND chunk`);
}

/** Bytes of the unpacked rows, each preceded by its filter's number. */
function scanlineBytes(header: Buffer): number {
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const [depth, colourType, interlaced] = [header[8]!, header[9]!, header[12] === 1];
  const pixels = width * height;
  if (pixels > MAX_PIXELS || pixels === 0) {
    const wanted = pixels === 0 ? 'at least one' : `at most ${MAX_PIXELS} in all`;
    throw new Error(`got ${height}×${width} pixels, wanted ${wanted}`);
  }
  const channels = CHANNELS[colourType];
  if (channels === undefined)
    throw new Error(`got colour type ${colourType}, which PNG doesn't have`);
  if (interlaced && depth < 8) {
    throw new Error(`got ${depth} bits per pixel, interlaced, wanted 8 or not interlaced`);
  }
  const bytesOf = (rows: number, columns: number) =>
    rows > 0 && columns > 0 ? rows * (1 + Math.ceil((columns * channels * depth) / 8)) : 0;
  if (!interlaced) return bytesOf(height, width);
  return PASSES.map(([left, top, across, down]) =>
    bytesOf(Math.ceil((height - top) / down), Math.ceil((width - left) / across)),
  ).reduce((sum, bytes) => sum + bytes);
}

function checkPixels(packed: Buffer, wanted: number): void {
  let got: number;
  try {
    got = inflateSync(packed, { maxOutputLength: wanted }).length;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_BUFFER_TOO_LARGE') throw error;
    throw new Error(`got more than the ${wanted} bytes of pixels that its size needs`);
  }
  if (got !== wanted) throw new Error(`got ${got} bytes of pixels, wanted ${wanted}`);
}
