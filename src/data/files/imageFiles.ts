/** Decodes images. Every fault of a file is a DataError that names it. */
import type { Metadata, Sharp } from 'sharp';
import { DataError } from '../types.js';
import { isBmp, readBmp } from './bmp.js';
import { bytesOfDeepPixels } from './deepPixels.js';
import { ownBytes, readBytes } from './fileBytes.js';

export interface DecodedImage {
  readonly height: number;
  readonly width: number;
  /** uint8 HWC, R G B. */
  readonly rgb: Uint8Array;
  /** What the decoder found wrong with a file that it decoded nevertheless; naming the file. */
  readonly warning?: string;
  /** EXIF orientation, 2 to 8, that was applied; absent: the pixels lie as they are stored. */
  readonly orientation?: number;
}

export interface ImageOptions {
  /**
   * The stored value of white in an image of more than 8 bits per channel: 4095 for 12 bits in 16, 1 for floats
   * from 0 to 1. null: see `bytesOfDeepPixels`.
   */
  readonly whiteValue?: number | null;
}

/**
 * Reads an image of any format that sharp supports (PNG, JPEG, WebP, TIFF …), or a BMP, as 8-bit RGB, as OpenCV's `imread`
 * gives it to the official loader:
 *
 * - EXIF orientation (1 to 8) is applied, since the labels that were drawn over an image lie as it is shown.
 * - The stored values are taken. A colour profile isn't applied: the networks were trained without.
 * - Grey becomes RGB; an alpha channel is dropped.
 * - A decoder's warning, such as extraneous bytes before a marker, is handed on; a file without its end is refused.
 *
 * @throws DataError when the file is missing, truncated, not an image, or its range isn't known.
 */
export async function readRgb(
  file: string,
  { whiteValue = null }: ImageOptions = {},
): Promise<DecodedImage> {
  // Read by us: libvips caches opened paths and would miss a changed file.
  const bytes = await readBytes(file);
  if (isBmp(bytes)) return bmp(file, bytes);
  return alone(() => decodeWhole(file, bytes, whiteValue));
}

/** The end of the last decoding. */
let decoding: Promise<unknown> = Promise.resolve();

/**
 * Decodings of a thread run one after the other: libvips has one buffer of messages for all images, so that what it
 * says of two at the same time can't be told apart.
 */
function alone<Result>(decode: () => Promise<Result>): Promise<Result> {
  const result = decoding.then(decode);
  decoding = result.catch(() => {});
  return result;
}

/** Decodings of a file that fails, until one tells what the decoder said. */
const TRIES = 5;

/** Strictly, then, if that fails, past warnings: so it is this file that has them. */
async function decodeWhole(
  file: string,
  bytes: Uint8Array,
  whiteValue: number | null,
): Promise<DecodedImage> {
  const strict = await untilSaid(() => decode(bytes, 'warning', whiteValue));
  if ('image' in strict) return strict.image;
  const lenient = await untilSaid(() => decode(bytes, 'error', whiteValue));
  if (!('image' in lenient)) throw unreadable(file, lenient.error);
  const warning = said(strict.error) ?? 'the decoder warns of it';
  return { ...lenient.image, warning: `${file}: ${warning}` };
}

/**
 * The image, or an error with what the decoder said. Another thread's decoding can empty the buffer of messages in
 * between; then the file is decoded once more.
 */
async function untilSaid(
  decodeOnce: () => Promise<DecodedImage>,
): Promise<{ readonly image: DecodedImage } | { readonly error: unknown }> {
  for (let left = TRIES - 1; ; left--) {
    try {
      return { image: await decodeOnce() };
    } catch (error) {
      if (said(error) !== undefined || left === 0) return { error };
    }
  }
}

async function decode(
  bytes: Uint8Array,
  failOn: 'warning' | 'error',
  whiteValue: number | null,
): Promise<DecodedImage> {
  // Imported lazily: loading takes a third of a second, and threads for drawn scenes don't need it.
  const { default: sharp } = await import('sharp');
  const open = () => sharp(bytes, { failOn, autoOrient: true, ignoreIcc: true });
  const metadata = await open().metadata();
  const isDeep = metadata.depth !== 'uchar';
  const decoded = isDeep ? await deepRgb(open(), metadata, whiteValue) : await rgb(open());
  const { orientation = 1 } = metadata;
  return orientation === 1 ? decoded : { ...decoded, orientation };
}

function bmp(file: string, bytes: Uint8Array): DecodedImage {
  try {
    return readBmp(bytes);
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(file: string, error: unknown): DataError {
  return new DataError(`${file}: not a readable image: ${reason(error)}`, { cause: error });
}

function reason(error: unknown): string {
  return said(error) ?? (error instanceof Error ? error.message : String(error));
}

/** libvips counts its messages and repeats them once per part of the image; sharp says so when there are none. */
const NOT_THE_DECODERS = /^$|^read gave|^error in tile|^Warning treated as error|^Unknown error$/;

/** The first thing that the decoder said; undefined where the message has nothing of it. */
function said(error: unknown): string | undefined {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n').find((line) => !NOT_THE_DECODERS.test(line));
}

async function rgb(image: Sharp): Promise<DecodedImage> {
  const { data, info } = await image
    .toColourspace('srgb')
    .removeAlpha()
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  if (info.channels !== 3) throw new Error(`got ${info.channels} channels, wanted 3`);
  return { height: info.height, width: info.width, rgb: ownBytes(data) };
}

/** In the file's own colour space and depth: a conversion would guess the range. */
async function deepRgb(
  image: Sharp,
  { space, depth }: Metadata,
  whiteValue: number | null,
): Promise<DecodedImage> {
  const isWhole = depth === 'ushort';
  if (!isWhole && depth !== 'float') {
    throw new Error(`got ${depth} values, wanted 8 or 16 bits, or 32-bit floats`);
  }
  const { data, info } = await image
    .pipelineColourspace(space)
    .toColourspace(space)
    .removeAlpha()
    .raw({ depth: isWhole ? 'ushort' : 'float' })
    .toBuffer({ resolveWithObject: true });
  const { buffer } = new Uint8Array(data);
  const values = isWhole ? new Uint16Array(buffer) : new Float32Array(buffer);
  const bytes = bytesOfDeepPixels(values, whiteValue);
  return { height: info.height, width: info.width, rgb: threeChannels(bytes, info.channels) };
}

function threeChannels(values: Uint8Array, channels: number): Uint8Array {
  if (channels === 3) return values;
  if (channels !== 1) throw new Error(`got ${channels} channels, wanted 1 or 3`);
  const rgb = new Uint8Array(3 * values.length);
  for (let i = 0; i < values.length; i++) rgb.fill(values[i]!, 3 * i, 3 * i + 3);
  return rgb;
}
