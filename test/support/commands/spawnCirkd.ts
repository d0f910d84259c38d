/** Starts the command line as a child process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../../../services/cli/bin.mjs', import.meta.url));

/** Among the arguments: the process is to live in this network namespace. */
export interface Inside {
  readonly namespace: string;
}

export function spawnCirkd(args: readonly (string | Inside)[]): ChildProcess {
  const stringArgs = args.filter((arg) => typeof arg === 'string');
  const inside = args.find((arg) => typeof arg !== 'string');
  const prefix = inside === undefined ? [] : ['ip', 'netns', 'exec', inside.namespace];
  const [program, ...rest] = [...prefix, process.execPath, BIN, ...stringArgs];
  return spawn(program!, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '2' },
  });
}
