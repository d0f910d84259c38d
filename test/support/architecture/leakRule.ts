/** Nothing of one machine or of one package mirror may be in the project's files. */
import type { Violation } from './sources.js';

/** Written so that this file doesn't break its own rule. */
const LEAKS: readonly { readonly pattern: RegExp; readonly what: string }[] = [
  { pattern: /(?<![\w.~-])\/(work|root|home\/[a-z])(?![\w-])/, what: 'a path of one machine' },
  {
    pattern: /(registry\.(npmjs|yarnpkg|npmmirror))|(pythonhosted|pypi)\.org|proxy\.golang\.org/,
    what: 'the host of a package registry',
  },
  { pattern: /"resolved":\s*"http/, what: 'a download address in a lock file' },
  { pattern: /https?:\/\/[^\s/"'<>]*(artifactory|nexus|\.internal)\b/, what: 'a private host' },
];

export function leakViolations(path: string, text: string): Violation[] {
  if (text.includes('\0')) return []; // not text
  return text.split('\n').flatMap((line, index) =>
    LEAKS.filter(({ pattern }) => pattern.test(line)).map(({ what }) => ({
      path,
      line: index + 1,
      rule: `no file names ${what}`,
    })),
  );
}
