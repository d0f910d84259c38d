/** `cirkd <command>`: finds the command, runs it, converts an error to an exit code. */
import { expandHome } from '../../src/config/homePaths.js';
import { describeFault } from '../program/exitCode.js';
import { kernelSettings } from '../program/kernelSettings.js';
import { packageVersion } from '../program/packageVersion.js';
import { followCpuQuota } from '../program/threadLimit.js';
import { UsageError } from './command.js';
import { COMMANDS } from './commandTable.js';

/** Resolves to the exit code; never rejects. */
export async function main(argv: string[]): Promise<number> {
  try {
    return await dispatch(argv);
  } catch (error) {
    const fault = describeFault(error);
    process.stderr.write(`cirkd: ${fault.message}\n`);
    if (fault.hint !== null) process.stderr.write(`${fault.hint}\n`);
    if (process.env.CIRKD_DEBUG === '1' && error instanceof Error) {
      process.stderr.write(`${error.stack}\n`);
    }
    return fault.exitCode;
  }
}

async function dispatch(argv: string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(overview());
    return name === undefined ? 2 : 0;
  }
  if (name === '--version' || name === '-v') {
    process.stdout.write(`${packageVersion()}\n`);
    return 0;
  }
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (entry === undefined) {
    throw new UsageError(`There is no command '${name}'.${await nearest(name)}`);
  }
  const { command } = await entry.load();
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(`${command.usage.trimEnd()}\n`);
    return 0;
  }
  followCpuQuota();
  // The kernels take an unknown value for the default.
  kernelSettings();
  return command.run(rest.map(withHome));
}

/** `--root=~/data`: shells expand only a ~ that begins a word. */
function withHome(argument: string): string {
  const [, name, value] = /^(--[\w-]+=)(~.*)$/s.exec(argument) ?? [];
  return name === undefined ? argument : `${name}${expandHome(value!)}`;
}

function overview(): string {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length));
  const lines = Object.entries(COMMANDS).map(
    ([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`,
  );
  return [
    'cirkd <command> [options]',
    '',
    ...lines,
    '',
    'cirkd <command> --help lists its options. cirkd --version.',
    'Exit codes: 0 done, 2 config or usage, 3 no teacher, 4 contract mismatch, 5 checkpoint,',
    '6 non-finite loss, 7 data, 8 another rank lost, 143 stopped by SIGTERM with the state saved.',
    '',
  ].join('\n');
}

async function nearest(name: string): Promise<string> {
  // Imported late: doctor must start even if the packages that config imports are missing.
  const { editDistance } = await import('../../src/config/suggest.js');
  const scored = Object.keys(COMMANDS)
    .map((known) => ({ known, distance: editDistance(name.toLowerCase(), known) }))
    .sort((a, b) => a.distance - b.distance);
  const best = scored[0];
  if (best === undefined || best.distance > Math.max(1, Math.floor(name.length / 2))) return '';
  return ` Did you mean '${best.known}'?`;
}
