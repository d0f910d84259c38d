/** Decodes label files. Every fault of a file is a DataError that names it. */
import { type DecodedPng, decode } from 'fast-png';
import { DataError } from '../types.js';
import { ownBytes, readBytes } from './fileBytes.js';
import { wholePng } from './wholePng.js';

export interface DecodedPixels {
  readonly height: number;
  readonly width: number;
  /** The stored value of each pixel, row-major: a number, or R G B. */
  readonly values: Uint8Array | Uint16Array;
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Reads a label PNG (grey of 1 to 16 bits, or palette) as its stored numbers.
 *
 * @throws DataError when the file is missing, truncated, fails a checksum, unpacks to more or fewer
 *   pixels than its header says, or isn't grey or palette.
 */
export function readLabels(file: string): Promise<DecodedPixels> {
  return readPng(file, ({ height, width, channels, depth, data }) => {
    if (channels !== 1) {
      throw new Error(
        `got ${channels} channels of ${depth} bits, wanted one class number per pixel (grey or palette)`,
      );
    }
    if (depth === 16) return { height, width, values: data as Uint16Array };
    return { height, width, values: unpackBits(data as Uint8Array, height, width, depth) };
  });
}

/**
 * Reads a label PNG whose colours are its classes: 8-bit RGB, with or without an alpha channel (which is
 * dropped), or a palette's colours.
 *
 * @throws DataError when the file is missing, truncated, fails a checksum, or has no colours.
 */
export function readColours(file: string): Promise<DecodedPixels> {
  return readPng(file, ({ height, width, channels, depth, data, palette }) => {
    if (palette !== undefined) {
      const indices = unpackBits(data as Uint8Array, height, width, depth);
      return { height, width, values: coloursOf(indices, palette) };
    }
    if (channels < 3 || depth !== 8) {
      throw new Error(
        `got ${channels} channels of ${depth} bits, wanted one colour per pixel (RGB of 8 bits, or a palette)`,
      );
    }
    const bytes = data as Uint8Array;
    const values = channels === 3 ? ownBytes(bytes) : withoutAlpha(bytes);
    return { height, width, values };
  });
}

async function readPng(
  file: string,
  pixels: (png: DecodedPng) => DecodedPixels,
): Promise<DecodedPixels> {
  const bytes = await readBytes(file);
  try {
    return pixels(decode(wholePng(bytes), { checkCrc: true }));
  } catch (error) {
    throw new DataError(`${file}: not a readable label PNG: ${reason(error)}`, { cause: error });
  }
}

/** R G B of each index. Throws an Error on an index outside the palette. */
function coloursOf(indices: Uint8Array, palette: readonly (readonly number[])[]): Uint8Array {
  const values = new Uint8Array(3 * indices.length);
  for (let i = 0; i < indices.length; i++) {
    const colour = palette[indices[i]!];
    if (colour === undefined) {
      throw new Error(`got palette index ${indices[i]}, wanted 0 to ${palette.length - 1}`);
    }
    values.set([colour[0]!, colour[1]!, colour[2]!], 3 * i);
  }
  return values;
}

function withoutAlpha(rgba: Uint8Array): Uint8Array {
  const values = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    values[to] = rgba[from]!;
    values[to + 1] = rgba[from + 1]!;
    values[to + 2] = rgba[from + 2]!;
  }
  return values;
}

/** With less than 8 bits per pixel, rows start at a whole byte with the leftmost pixel in the highest bits. */
function unpackBits(data: Uint8Array, height: number, width: number, depth: number): Uint8Array {
  const rowBytes = Math.ceil((width * depth) / 8);
  if (data.length !== height * rowBytes) {
    throw new Error(`got ${data.length} bytes of pixels, wanted ${height * rowBytes}`);
  }
  if (depth === 8) return ownBytes(data);
  const values = new Uint8Array(height * width);
  const mask = (1 << depth) - 1;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const bit = x * depth;
      const byte = data[y * rowBytes + (bit >> 3)]!;
      values[y * width + x] = (byte >> (8 - depth - (bit & 7))) & mask;
    }
  }
  return values;
}
