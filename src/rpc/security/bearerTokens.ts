/**
 * Bearer tokens (RFC 6750) from a file, one per line. The server accepts each of them, so that a new
 * token can be added before the old one is removed; the client sends the first.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { type NamedFile, SecurityFileError } from './watchedFiles.js';

/** Shorter tokens could be guessed. */
const TOKEN = /^[\x21-\x7e]{16,4096}$/;

/** Returns at least one token. Throws SecurityFileError; its message has the line's number, not the token. */
export function readTokens(file: NamedFile, content: Buffer): readonly string[] {
  const lines = content.toString('latin1').split(/\r?\n/);
  const tokens = lines.flatMap((line, i) => {
    if (line === '') return [];
    if (!TOKEN.test(line)) {
      const wanted = 'wanted 16 to 4096 printable ASCII characters without spaces';
      throw new SecurityFileError(file, `line ${i + 1} is not a token, ${wanted}`);
    }
    return [line];
  });
  if (tokens.length === 0) throw new SecurityFileError(file, 'contains no token');
  return tokens;
}

/** "Bearer …", the value of the metadata field `authorization`. */
export function bearer(token: string): string {
  return `Bearer ${token}`;
}

/**
 * Whether the field's value holds one of the tokens. The time taken reveals nothing about them:
 * the digests of all tokens are compared, to the last byte.
 */
export function isAccepted(value: string, tokens: readonly string[]): boolean {
  const given = digest(value);
  const matches = tokens.map((token) => timingSafeEqual(given, digest(bearer(token))));
  return matches.includes(true);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
