/**
 * Writes a zip archive of stored entries like torch.save: a padding field in the local headers aligns data
 * to 64 bytes. Without zip64, so at most 4 GiB.
 * Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12, 4.3.16.
 */
import { crc32 } from '@node-rs/crc32';

const ALIGNMENT = 64;
const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END_BYTES = 22;
const VERSION = 20;
const UTF8_NAMES = 0x800;
/** 1 January 1980, zip's earliest date: constant, so that archives depend only on their contents. */
const DATE = 0x21;
/** "FB", torch.save's tag for padding. */
const PADDING_TAG = 0x4246;
const LARGEST_FILE = 0xffffffff;
const MOST_ENTRIES = 0xfffe;

/** More entries or bytes than an archive without zip64 can hold. */
export class ZipTooLargeError extends RangeError {
  override readonly name = 'ZipTooLargeError';
}

interface PlacedEntry {
  readonly name: Uint8Array;
  readonly content: Uint8Array;
  readonly crc: number;
  readonly offset: number;
  readonly padding: number;
}

/** The bytes of the archive, with entries in the given order. Throws ZipTooLargeError if it is too large. */
export function writeZip(entries: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const placed: PlacedEntry[] = [];
  let at = 0;
  for (const [text, content] of entries) {
    const name = new TextEncoder().encode(text);
    // The field's own header takes at least four bytes.
    const header = at + LOCAL_BYTES + name.length + 4;
    const padding = 4 + ((ALIGNMENT - (header % ALIGNMENT)) % ALIGNMENT);
    placed.push({ name, content, crc: crc32(content) >>> 0, offset: at, padding });
    at += LOCAL_BYTES + name.length + padding + content.length;
  }
  const directory = at;
  for (const { name } of placed) at += CENTRAL_BYTES + name.length;
  if (at + END_BYTES > LARGEST_FILE || placed.length > MOST_ENTRIES) {
    throw new ZipTooLargeError(
      `zip archive: ${placed.length} entries in ${at} bytes, wanted below 4 GiB`,
    );
  }
  const file = new Uint8Array(at + END_BYTES);
  for (const entry of placed) writeLocal(file, entry);
  let central = directory;
  for (const entry of placed) central = writeCentral(file, central, entry);
  writeEnd(file, placed.length, directory, at);
  return file;
}

function writeLocal(file: Uint8Array, entry: PlacedEntry): void {
  const { name, content, offset, padding } = entry;
  const view = new DataView(file.buffer, offset);
  view.setUint32(0, 0x04034b50, true);
  writeCommon(view, 4, entry, padding);
  file.set(name, offset + LOCAL_BYTES);
  const extra = LOCAL_BYTES + name.length;
  view.setUint16(extra, PADDING_TAG, true);
  view.setUint16(extra + 2, padding - 4, true);
  file.set(content, offset + extra + padding);
}

/** Returns the position of the next header. */
function writeCentral(file: Uint8Array, at: number, entry: PlacedEntry): number {
  const view = new DataView(file.buffer, at);
  view.setUint32(0, 0x02014b50, true);
  view.setUint16(4, VERSION, true);
  writeCommon(view, 6, entry, 0);
  view.setUint32(42, entry.offset, true);
  file.set(entry.name, at + CENTRAL_BYTES);
  return at + CENTRAL_BYTES + entry.name.length;
}

/** The fields of both headers: version, flags, method (0, stored), time, date, checksum, sizes. */
function writeCommon(view: DataView, at: number, entry: PlacedEntry, extraBytes: number): void {
  view.setUint16(at, VERSION, true);
  view.setUint16(at + 2, UTF8_NAMES, true);
  view.setUint16(at + 8, DATE, true);
  view.setUint32(at + 10, entry.crc, true);
  view.setUint32(at + 14, entry.content.length, true);
  view.setUint32(at + 18, entry.content.length, true);
  view.setUint16(at + 22, entry.name.length, true);
  view.setUint16(at + 24, extraBytes, true);
}

function writeEnd(file: Uint8Array, entries: number, directory: number, end: number): void {
  const view = new DataView(file.buffer, end);
  view.setUint32(0, 0x06054b50, true);
  view.setUint16(8, entries, true);
  view.setUint16(10, entries, true);
  view.setUint32(12, end - directory, true);
  view.setUint32(16, directory, true);
}
