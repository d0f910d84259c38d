/** What a run was made with, as a text for its report. */
import { arch, cpus, platform, release, totalmem } from 'node:os';
import { packageVersion } from '../cli/packageVersion.js';

/** `engine`: versions and device by name, as the computing thread gave them. */
export function environmentText(engine: Readonly<Record<string, unknown>>): string {
  const cores = cpus();
  const rows: [string, unknown][] = [
    ['cirkd', packageVersion()],
    ['node', process.version],
    ...Object.entries(engine),
    ['system', `${platform()} ${release()} ${arch()}`],
    ['processor', cores[0]?.model.trim() ?? 'unknown'],
    ['cores', cores.length],
    ['memory', `${(totalmem() / 2 ** 30).toFixed(1)} GiB`],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}
