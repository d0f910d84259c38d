/** Which processes run (Linux). */
import { readdirSync, readFileSync } from 'node:fs';

/** The command lines, of this machine's processes, that mention a text. */
export function processesThatMention(text: string): string[] {
  const lines: string[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    try {
      const line = readFileSync(`/proc/${entry}/cmdline`, 'utf8').replaceAll('\0', ' ');
      if (line.includes(text)) lines.push(line);
    } catch {
      // It ended meanwhile.
    }
  }
  return lines;
}
