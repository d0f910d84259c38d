/** The bytes of a file, and arrays that own theirs. */
import { readFile } from 'node:fs/promises';
import { DataError } from '../types.js';

/** @throws DataError naming the file. */
export async function readBytes(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new DataError(`${file}: ${code === 'ENOENT' ? 'no such file' : message}`, {
      cause: error,
    });
  }
}

/** The same bytes in an array that owns its whole buffer and so can be transferred to another thread. */
export function ownBytes(data: Uint8Array): Uint8Array {
  const whole = data.byteOffset === 0 && data.byteLength === data.buffer.byteLength;
  return whole && data.constructor === Uint8Array ? data : new Uint8Array(data);
}
