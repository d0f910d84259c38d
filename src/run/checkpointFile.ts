/** Writes and reads one file of a checkpoint in pieces, and hashes them on the way. */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { NamedTensors } from '../wire/safetensors.js';
import { safetensorsHeader } from '../wire/safetensors.js';
import { withFile } from './durableFiles.js';

/** Small enough that hashing a piece doesn't hold up the event loop (some 5 ms). */
const PIECE_BYTES = 2 * 1024 * 1024;

export interface FileFacts {
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
}

/** Writes a safetensors file and flushes it to disk without a second copy of the data in memory. */
export function writeTensors(
  path: string,
  tensors: NamedTensors,
  metadata: Readonly<Record<string, string>>,
): Promise<FileFacts> {
  return withFile(path, 'w', async (file) => {
    const hash = createHash('sha256');
    let bytes = 0;
    for (const part of partsOf(tensors, metadata)) {
      for (let at = 0; at < part.byteLength; at += PIECE_BYTES) {
        const piece = part.subarray(at, at + PIECE_BYTES);
        hash.update(piece);
        await writeWhole(file, piece);
      }
      bytes += part.byteLength;
    }
    await file.sync();
    return { bytes, sha256: hash.digest('hex') };
  });
}

/** Size and hash of a file, without reading all of it into memory. */
export function fileFacts(path: string): Promise<FileFacts> {
  return withFile(path, 'r', async (file) => {
    const hash = createHash('sha256');
    const piece = new Uint8Array(PIECE_BYTES);
    let bytes = 0;
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, PIECE_BYTES, bytes);
      if (bytesRead === 0) return { bytes, sha256: hash.digest('hex') };
      hash.update(piece.subarray(0, bytesRead));
      bytes += bytesRead;
    }
  });
}

/**
 * Reads a whole file and hashes it. If the file doesn't have the given size, nothing is read and
 * only `bytes` is valid.
 */
export function readHashed(path: string, size: number): Promise<FileFacts & { data: Uint8Array }> {
  return withFile(path, 'r', async (file) => {
    const { size: found } = await file.stat();
    if (found !== size) return { data: new Uint8Array(0), bytes: found, sha256: '' };
    const hash = createHash('sha256');
    const data = new Uint8Array(size);
    let at = 0;
    while (at < size) {
      const { bytesRead } = await file.read(data, at, Math.min(PIECE_BYTES, size - at), at);
      if (bytesRead === 0) break;
      hash.update(data.subarray(at, at + bytesRead));
      at += bytesRead;
    }
    return { data, bytes: at, sha256: hash.digest('hex') };
  });
}

function* partsOf(
  tensors: NamedTensors,
  metadata: Readonly<Record<string, string>>,
): Generator<Uint8Array> {
  yield safetensorsHeader(tensors, metadata);
  for (const tensor of tensors.values()) yield tensor.data;
}

async function writeWhole(file: FileHandle, bytes: Uint8Array): Promise<void> {
  let at = 0;
  while (at < bytes.byteLength) {
    at += (await file.write(bytes, at, bytes.byteLength - at)).bytesWritten;
  }
}
