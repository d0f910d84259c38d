/** Starts the command line as a child process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../../../services/cli/bin.mjs', import.meta.url));

/** Among the arguments: the process is to live in this network namespace. */
export interface Inside {
  readonly namespace: string;
}

/** Among the arguments: variables of its environment beside this process's. */
export interface WithEnvironment {
  readonly env: Readonly<Record<string, string>>;
}

export function spawnCirkd(args: readonly (string | Inside | WithEnvironment)[]): ChildProcess {
  const stringArgs = args.filter((arg) => typeof arg === 'string');
  const others = args.filter((arg) => typeof arg !== 'string');
  const inside = others.find((arg) => 'namespace' in arg);
  const given = others.find((arg) => 'env' in arg);
  const prefix = inside === undefined ? [] : ['ip', 'netns', 'exec', inside.namespace];
  const [program, ...rest] = [...prefix, process.execPath, BIN, ...stringArgs];
  return spawn(program!, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '2', ...given?.env },
  });
}
