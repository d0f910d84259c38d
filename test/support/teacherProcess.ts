/** `cirkd teacher --simulate` as a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../../services/cli/bin.mjs', import.meta.url));

export interface TeacherProcess {
  readonly child: ChildProcess;
  readonly address: string;
  readonly port: number;
}

/** Resolves when the teacher serves. `settings` are those of --set. Killed when the test ends. */
export async function startTeacherProcess(
  t: TestContext,
  settings: Readonly<Record<string, unknown>>,
  port = 0,
): Promise<TeacherProcess> {
  const sets = Object.entries({ 'metrics.port': null, ...settings }).flatMap(([key, value]) => [
    '--set',
    `${key}=${JSON.stringify(value)}`,
  ]);
  const child = spawn(process.execPath, [BIN, 'teacher', '--simulate', `--port=${port}`, ...sets], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  const log: string[] = [];
  createInterface({ input: child.stderr! }).on('line', (line) => log.push(line));
  const stdout = createInterface({ input: child.stdout! });
  const ready = once(stdout, 'line').then(([line]) => String(line));
  const exit = once(child, 'exit').then(([code]) => {
    throw new Error(`teacher ended with ${code} before it served:\n${log.join('\n')}`);
  });
  // Once it serves, its end is the test's business.
  exit.catch(() => {});
  const line = await Promise.race([ready, exit]);
  const address = /grpc (\S+:(\d+)),/.exec(line);
  if (address === null) throw new Error(`teacher said: ${line}`);
  return { child, address: address[1]!, port: Number(address[2]) };
}
