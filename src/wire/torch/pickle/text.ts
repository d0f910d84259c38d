/**
 * Parses the operands of pickle's text opcodes (protocol 0, and some that Python 2 wrote in protocol 2):
 * decimal numbers and quoted strings, each on a line of its own.
 * Source: pickletools.py of CPython 3.11, "decimalnl_short", "decimalnl_long", "floatnl", "stringnl",
 * "unicodestringnl".
 */
import { isUtf8 } from 'node:buffer';
import { CheckpointError } from '../../checkpointError.js';
import { shown } from './values.js';

/** 128 bits have 39 digits; converting n digits takes time that grows with n squared. */
const LONGEST_DECIMAL = 512;

/** INT: `00` and `01` are False and True. */
export function textInteger(line: string): number | bigint | boolean {
  if (line === '00') return false;
  if (line === '01') return true;
  return decimal(line);
}

/** LONG: digits followed by `L`. */
export function textLong(line: string): number | bigint {
  return decimal(line.endsWith('L') ? line.slice(0, -1) : line);
}

export function textFloat(line: string): number {
  if (/^[-+]?inf$/i.test(line)) return line.startsWith('-') ? -Infinity : Infinity;
  if (/^[-+]?nan$/i.test(line)) return Number.NaN;
  if (line.length <= LONGEST_DECIMAL && /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(line)) {
    return Number(line);
  }
  throw new CheckpointError(`a float written as ${shown(line)}`);
}

/** GET and PUT. */
export function textIndex(line: string): number {
  if (/^\d{1,15}$/.test(line)) return Number(line);
  throw new CheckpointError(`a memo written as ${shown(line)}`);
}

/** UNICODE: decodes `\uXXXX` and `\UXXXXXXXX` and nothing else (raw-unicode-escape). */
export function textUnicode(line: string): string {
  return line.replace(/\\u([\da-fA-F]{4})|\\U([\da-fA-F]{8})/g, (_, short: string, long: string) =>
    codePoint(Number.parseInt(short ?? long, 16)),
  );
}

const ESCAPES: Readonly<Record<string, string>> = {
  ...{ n: '\n', r: '\r', t: '\t', a: '\x07', b: '\b', f: '\f', v: '\v' },
  ...{ '\\': '\\', "'": "'", '"': '"', '\n': '' },
};

/** STRING: the repr of a Python 2 str. Text if its bytes are UTF-8, else bytes. */
export function textString(line: string): string | Uint8Array {
  const quote = line[0];
  if (line.length < 2 || (quote !== "'" && quote !== '"') || line.at(-1) !== quote) {
    throw new CheckpointError(`a string without quotes: ${shown(line)}`);
  }
  const inside = line.slice(1, -1);
  const plain = inside.replace(
    /\\(?:x([0-9a-f]{2})|([0-7]{1,3})|([\s\S]))/gi,
    (whole, hex: string | undefined, octal: string | undefined, letter: string | undefined) => {
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 0xff);
      return ESCAPES[letter ?? ''] ?? whole;
    },
  );
  const bytes = new Uint8Array(Buffer.from(plain, 'latin1'));
  return isUtf8(bytes) ? Buffer.from(bytes).toString() : bytes;
}

function decimal(text: string): number | bigint {
  if (text.length > LONGEST_DECIMAL || !/^[-+]?\d+$/.test(text)) {
    throw new CheckpointError(`an integer written as ${shown(text)}`);
  }
  const value = BigInt(text.replace(/^\+/, ''));
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function codePoint(value: number): string {
  if (value > 0x10ffff) throw new CheckpointError(`a character numbered ${value}`);
  return String.fromCodePoint(value);
}
