/**
 * Bearer tokens (RFC 6750) from a file, one a line. The server takes each of them, so that a new one
 * can be there before the old one goes; the client brings the first.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { type NamedFile, SecurityFileError } from './watchedFiles.js';

/** Short ones can be guessed. */
const TOKEN = /^[\x21-\x7e]{16,4096}$/;

/** At least one. Throws SecurityFileError, whose message has the line's number, not the token. */
export function readTokens(file: NamedFile, content: Buffer): readonly string[] {
  const lines = content.toString('latin1').split(/\r?\n/);
  const tokens = lines.flatMap((line, i) => {
    if (line === '') return [];
    if (!TOKEN.test(line)) {
      const wanted = 'wanted 16 to 4096 printable ASCII characters without spaces';
      throw new SecurityFileError(file, `line ${i + 1} is no token, ${wanted}`);
    }
    return [line];
  });
  if (tokens.length === 0) throw new SecurityFileError(file, 'no token in it');
  return tokens;
}

/** "Bearer …", as the metadata's field authorization has it. */
export function bearer(token: string): string {
  return `Bearer ${token}`;
}

/**
 * Whether the field's value is that of one of the tokens. The time that it takes says nothing about
 * them: digests are compared, all of them, to the last byte.
 */
export function isAccepted(value: string, tokens: readonly string[]): boolean {
  const given = digest(value);
  const matches = tokens.map((token) => timingSafeEqual(given, digest(bearer(token))));
  return matches.includes(true);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
