/**
 * Where the opcodes of a pickle begin: from the lengths of their arguments alone.
 * Source: pickletools.py of CPython 3.11.
 */

/** Argument's bytes; `line`: to a newline; `sized`: behind a length of so many bytes. */
interface Argument {
  readonly fixed?: number;
  readonly lines?: number;
  readonly sized?: number;
}

const ARGUMENTS: ReadonlyMap<number, Argument> = new Map<number, Argument>([
  ...[...'Khq\x80\x82'].map(fixed(1)),
  ...[...'M\x83'].map(fixed(2)),
  ...[...'Jjr\x84'].map(fixed(4)),
  ...[...'G\x95'].map(fixed(8)),
  ...[...'CU\x8a\x8c'].map(sized(1)),
  ...[...'BTX\x8b'].map(sized(4)),
  ...[...'\x8d\x8e\x96'].map(sized(8)),
  ...[...'FIgLPpSV'].map((code): [number, Argument] => [code.charCodeAt(0), { lines: 1 }]),
  ...[...'ci'].map((code): [number, Argument] => [code.charCodeAt(0), { lines: 2 }]),
]);

function fixed(bytes: number) {
  return (code: string): [number, Argument] => [code.charCodeAt(0), { fixed: bytes }];
}

function sized(bytes: number) {
  return (code: string): [number, Argument] => [code.charCodeAt(0), { sized: bytes }];
}

export interface PickleToken {
  readonly start: number;
  readonly end: number;
  /** Bytes of the length behind the opcode; 0: there's none. */
  readonly length: number;
}

/** The opcodes of `pickles` sound pickles in a row. */
export function pickleTokens(bytes: Uint8Array, pickles: number): PickleToken[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const tokens: PickleToken[] = [];
  let start = 0;
  for (let stops = 0; stops < pickles; ) {
    const { fixed = 0, lines = 0, sized = 0 } = ARGUMENTS.get(buffer[start]!) ?? {};
    let end = start + 1 + fixed + sized;
    if (sized > 0) end += buffer.readUIntLE(start + 1, Math.min(sized, 6));
    for (let line = 0; line < lines; line++) end = buffer.indexOf('\n', end) + 1;
    tokens.push({ start, end, length: sized });
    if (buffer[start] === 0x2e) stops += 1;
    start = end;
  }
  return tokens;
}
