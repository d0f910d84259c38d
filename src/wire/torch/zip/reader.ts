/**
 * Reads the stored entries of a zip archive written by torch.save. Uses the central directory, because local
 * headers may contain padding, and checks every offset against the file.
 * Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.7 (local), 4.3.12 (central), 4.3.14 to 4.3.16 (ends).
 *
 * Doesn't verify checksums: PyTorch has an option to write wrong ones, and ignores them when reading.
 */
import { CheckpointError } from '../../checkpointError.js';
import { printable } from '../../printable.js';

const LOCAL = { signature: 0x04034b50, bytes: 30 };
const CENTRAL = { signature: 0x02014b50, bytes: 46 };
const END = { signature: 0x06054b50, bytes: 22 };
const END_64 = { signature: 0x06064b50, bytes: 56 };
const LOCATOR_64 = { signature: 0x07064b50, bytes: 20 };
const LONGEST_COMMENT = 0xffff;
/** A checkpoint has one entry per tensor. */
const MOST_ENTRIES = 1_000_000;
const ENCRYPTED = 1;
const STORED = 0;
/** A field with this value is replaced by one in the zip64 record. */
const SATURATED_16 = 0xffff;
const SATURATED_32 = 0xffffffff;
const ZIP64_EXTRA = 1;

/** Contents by name, as views of the file. */
export type ZipEntries = ReadonlyMap<string, Uint8Array>;

interface Directory {
  readonly entries: number;
  readonly offset: number;
  readonly bytes: number;
}

interface CentralEntry {
  readonly name: string;
  readonly nameBytes: Uint8Array;
  readonly size: number;
  readonly localOffset: number;
  readonly next: number;
}

/**
 * All entries of a file held in memory. Throws CheckpointError on a truncated or inconsistent archive, on
 * compressed or encrypted entries and on duplicate names.
 */
export function readZip(bytes: Uint8Array): ZipEntries {
  return new ZipFile(bytes).entries();
}

class ZipFile {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  entries(): ZipEntries {
    const directory = this.#directory();
    const end = directory.offset + directory.bytes;
    const found = new Map<string, Uint8Array>();
    let at = directory.offset;
    for (let index = 0; index < directory.entries; index++) {
      const entry = this.#central(at, end, index);
      if (found.has(entry.name)) throw fault(`entry '${printable(entry.name)}' appears twice`);
      found.set(entry.name, this.#content(entry, directory.offset));
      at = entry.next;
    }
    return found;
  }

  #directory(): Directory {
    const at = this.#endRecord();
    const plain = {
      entries: this.#view.getUint16(at + 10, true),
      bytes: this.#view.getUint32(at + 12, true),
      offset: this.#view.getUint32(at + 16, true),
    };
    const saturated =
      plain.entries === SATURATED_16 ||
      plain.bytes === SATURATED_32 ||
      plain.offset === SATURATED_32;
    const directory = saturated ? this.#directory64(at) : plain;
    if (directory.offset + directory.bytes > at) {
      throw fault(
        `central directory of ${directory.bytes} bytes at ${directory.offset} runs past its end record at ${at}`,
      );
    }
    if (directory.entries > MOST_ENTRIES) {
      throw fault(`${directory.entries} entries announced, wanted at most ${MOST_ENTRIES}`);
    }
    // Checked before reading any entry: each takes at least its fixed part.
    if (directory.entries * CENTRAL.bytes > directory.bytes) {
      throw fault(`${directory.entries} entries announced, ${directory.bytes} bytes hold fewer`);
    }
    return directory;
  }

  /** Only a comment, whose length the end record states, may follow the end record. */
  #endRecord(): number {
    const last = this.#bytes.length - END.bytes;
    for (let at = last; at >= 0 && at >= last - LONGEST_COMMENT; at--) {
      if (this.#view.getUint32(at, true) !== END.signature) continue;
      if (this.#view.getUint16(at + 20, true) === last - at) return at;
    }
    throw fault('no end of the central directory: the file is truncated or damaged');
  }

  #directory64(endRecord: number): Directory {
    const locator = endRecord - LOCATOR_64.bytes;
    this.#expect(locator, LOCATOR_64, endRecord, 'zip64 locator');
    const at = this.#uint64(locator + 8);
    this.#expect(at, END_64, locator, 'zip64 end record');
    return {
      entries: this.#uint64(at + 32),
      bytes: this.#uint64(at + 40),
      offset: this.#uint64(at + 48),
    };
  }

  #central(at: number, end: number, index: number): CentralEntry {
    this.#expect(at, CENTRAL, end, `central header ${index}`);
    const nameEnd = at + CENTRAL.bytes + this.#view.getUint16(at + 28, true);
    const extraEnd = nameEnd + this.#view.getUint16(at + 30, true);
    const next = extraEnd + this.#view.getUint16(at + 32, true);
    if (next > end) throw fault(`central header ${index} runs past the directory`);
    const nameBytes = this.#bytes.subarray(at + CENTRAL.bytes, nameEnd);
    const name = decodeName(nameBytes, index);
    if ((this.#view.getUint16(at + 8, true) & ENCRYPTED) !== 0) {
      throw fault(`entry '${printable(name)}' is encrypted`);
    }
    const method = this.#view.getUint16(at + 10, true);
    if (method !== STORED) {
      throw fault(`entry '${printable(name)}' is compressed (method ${method}), wanted stored`);
    }
    const [size, packed, localOffset] = this.#wideFields(at, nameEnd, extraEnd, name);
    if (size !== packed) throw fault(`entry '${printable(name)}' is stored, yet has two sizes`);
    return { name, nameBytes, size: size!, localOffset: localOffset!, next };
  }

  /** Size, packed size and offset of the local header; saturated ones are taken from the zip64 field. */
  #wideFields(at: number, extraStart: number, extraEnd: number, name: string): number[] {
    const narrow = [24, 20, 42].map((field) => this.#view.getUint32(at + field, true));
    if (!narrow.includes(SATURATED_32)) return narrow;
    let field = extraStart;
    while (field + 4 <= extraEnd) {
      const length = this.#view.getUint16(field + 2, true);
      if (this.#view.getUint16(field, true) === ZIP64_EXTRA) break;
      field += 4 + length;
    }
    if (field + 4 > extraEnd) throw fault(`entry '${printable(name)}' lacks its zip64 sizes`);
    const end = Math.min(extraEnd, field + 4 + this.#view.getUint16(field + 2, true));
    let value = field + 4;
    return narrow.map((number) => {
      if (number !== SATURATED_32) return number;
      if (value + 8 > end) throw fault(`entry '${printable(name)}' lacks its zip64 sizes`);
      value += 8;
      return this.#uint64(value - 8);
    });
  }

  #content({ name, nameBytes, size, localOffset }: CentralEntry, limit: number): Uint8Array {
    this.#expect(localOffset, LOCAL, limit, `local header of '${printable(name)}'`);
    const nameStart = localOffset + LOCAL.bytes;
    const nameEnd = nameStart + this.#view.getUint16(localOffset + 26, true);
    const start = nameEnd + this.#view.getUint16(localOffset + 28, true);
    if (start + size > limit) {
      throw fault(
        `entry '${printable(name)}' of ${size} bytes at ${start} runs past the data's end ${limit}`,
      );
    }
    const localName = this.#bytes.subarray(nameStart, nameEnd);
    if (Buffer.compare(localName, nameBytes) !== 0) {
      throw fault(`entry '${printable(name)}' has another name in its local header`);
    }
    return this.#bytes.subarray(start, start + size);
  }

  #expect(
    at: number,
    { signature, bytes }: { readonly signature: number; readonly bytes: number },
    limit: number,
    what: string,
  ): void {
    if (at < 0 || at + bytes > limit || this.#view.getUint32(at, true) !== signature) {
      throw fault(`no ${what} at byte ${at}`);
    }
  }

  #uint64(at: number): number {
    const value = this.#view.getBigUint64(at, true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw fault(`${value} at byte ${at} is no size`);
    return Number(value);
  }
}

function decodeName(bytes: Uint8Array, index: number): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw fault(`the name of entry ${index} is not UTF-8`);
  }
}

function fault(text: string): CheckpointError {
  return new CheckpointError(`zip archive: ${text}`);
}
