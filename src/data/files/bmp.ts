/**
 * Reads BMP files, which sharp doesn't: uncompressed ones of 1 to 32 bits. The packages for it give a palette's
 * colours in another order than true colours (bmp-ts) or indices in place of colours (fast-bmp).
 */

/** In pixels; sharp has the same limit. */
const MAX_PIXELS = 0x3fff * 0x3fff;

const FILE_HEADER_BYTES = 14;
/** Of OS/2; every other header begins as Windows' does, with 40 bytes. */
const CORE_HEADER_BYTES = 12;
const [UNCOMPRESSED, BIT_FIELDS, ALPHA_BIT_FIELDS] = [0, 3, 6];

interface Header {
  readonly height: number;
  readonly width: number;
  readonly isTopDown: boolean;
  readonly bits: number;
  readonly pixelsAt: number;
  /** R G B of each index; for up to 8 bits. */
  readonly palette: Uint8Array;
  /** The bits of R, G and B in a pixel of 16 or 32 bits. */
  readonly masks: readonly [number, number, number];
}

export interface Bitmap {
  readonly height: number;
  readonly width: number;
  /** uint8 HWC, R G B. */
  readonly rgb: Uint8Array;
}

export function isBmp(bytes: Uint8Array): boolean {
  return bytes[0] === 0x42 && bytes[1] === 0x4d;
}

/** Alpha is dropped. @throws Error on a file that is truncated, compressed, or not a BMP. */
export function readBmp(file: Uint8Array): Bitmap {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const header = readHeader(bytes);
  const { height, width, isTopDown, bits, pixelsAt } = header;
  const rowBytes = Math.ceil((width * bits) / 32) * 4;
  if (pixelsAt + rowBytes * height > bytes.length) {
    throw new Error(`truncated: ${bytes.length} bytes, wanted ${pixelsAt + rowBytes * height}`);
  }
  const rgb = new Uint8Array(height * width * 3);
  for (let y = 0; y < height; y++) {
    const from = pixelsAt + rowBytes * (isTopDown ? y : height - 1 - y);
    readRow(bytes.subarray(from, from + rowBytes), rgb.subarray(y * width * 3), header);
  }
  return { height, width, rgb };
}

function readHeader(bytes: Buffer): Header {
  if (!isBmp(bytes) || bytes.length < FILE_HEADER_BYTES + 4) throw new Error('no BMP header');
  const headerBytes = bytes.readUInt32LE(FILE_HEADER_BYTES);
  const isCore = headerBytes === CORE_HEADER_BYTES;
  if ((!isCore && headerBytes < 40) || bytes.length < FILE_HEADER_BYTES + headerBytes) {
    throw new Error(
      `got a header of ${headerBytes} bytes, wanted 12 or at least 40 in a whole file`,
    );
  }
  const at = (offset: number) => FILE_HEADER_BYTES + offset;
  const [width, signedHeight] = isCore
    ? [bytes.readUInt16LE(at(4)), bytes.readUInt16LE(at(6))]
    : [bytes.readInt32LE(at(4)), bytes.readInt32LE(at(8))];
  const height = Math.abs(signedHeight);
  if (width < 1 || height < 1 || height * width > MAX_PIXELS) {
    throw new Error(`got ${height}×${width} pixels, wanted 1 to ${MAX_PIXELS} in all`);
  }
  const bits = bytes.readUInt16LE(at(isCore ? 10 : 14));
  const compression = isCore ? UNCOMPRESSED : bytes.readUInt32LE(at(16));
  checkCoding(bits, compression);
  const hasFields = compression !== UNCOMPRESSED;
  // Behind a header of 40 bytes come the fields; in longer ones they are at the same place.
  const fieldBytes =
    hasFields && headerBytes === 40 ? (compression === ALPHA_BIT_FIELDS ? 16 : 12) : 0;
  const paletteAt = at(headerBytes) + fieldBytes;
  const colours = bits > 8 ? 0 : (isCore ? 0 : bytes.readUInt32LE(at(32))) || 2 ** bits;
  return {
    ...{ height, width, bits, isTopDown: signedHeight < 0 },
    pixelsAt: bytes.readUInt32LE(10),
    palette: readPalette(bytes, paletteAt, Math.min(colours, 2 ** bits), isCore ? 3 : 4),
    masks: hasFields
      ? [bytes.readUInt32LE(at(40)), bytes.readUInt32LE(at(44)), bytes.readUInt32LE(at(48))]
      : bits === 16
        ? [0x7c00, 0x03e0, 0x001f]
        : [0xff0000, 0x00ff00, 0x0000ff],
  };
}

function checkCoding(bits: number, compression: number): void {
  const hasFields = compression === BIT_FIELDS || compression === ALPHA_BIT_FIELDS;
  if (![1, 4, 8, 16, 24, 32].includes(bits)) {
    throw new Error(`got ${bits} bits per pixel, wanted 1, 4, 8, 16, 24 or 32`);
  }
  if (compression !== UNCOMPRESSED && !(hasFields && (bits === 16 || bits === 32))) {
    throw new Error(`got a compressed BMP (method ${compression}), wanted an uncompressed one`);
  }
}

function readPalette(bytes: Buffer, at: number, colours: number, stride: number): Uint8Array {
  if (at + colours * stride > bytes.length) throw new Error('truncated in its palette');
  const palette = new Uint8Array(colours * 3);
  for (let i = 0; i < colours; i++) {
    for (const c of [0, 1, 2]) palette[3 * i + c] = bytes[at + i * stride + 2 - c]!;
  }
  return palette;
}

function readRow(row: Buffer, rgb: Uint8Array, { width, bits, palette, masks }: Header): void {
  for (let x = 0; x < width; x++) {
    const to = 3 * x;
    if (bits <= 8) {
      const shift = 8 - bits - ((x * bits) & 7);
      const index = (row[(x * bits) >> 3]! >> shift) & ((1 << bits) - 1);
      if (3 * index >= palette.length) {
        throw new Error(`got palette index ${index}, wanted 0 to ${palette.length / 3 - 1}`);
      }
      for (const c of [0, 1, 2]) rgb[to + c] = palette[3 * index + c]!;
    } else if (bits === 24) {
      for (const c of [0, 1, 2]) rgb[to + c] = row[to + 2 - c]!;
    } else {
      const pixel = bits === 16 ? row.readUInt16LE(2 * x) : row.readUInt32LE(4 * x);
      for (const c of [0, 1, 2] as const) rgb[to + c] = channelOf(pixel, masks[c]);
    }
  }
}

/** The bits of a mask, scaled to 0..255. */
function channelOf(pixel: number, mask: number): number {
  if (mask === 0) return 0;
  const shift = 31 - Math.clz32(mask & -mask);
  const most = mask >>> shift;
  return Math.round((((pixel & mask) >>> shift) * 255) / most);
}
