#!/usr/bin/env node
// The package's bin. Plain JavaScript, as it must be able to report that nothing is installed yet.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { engineEnvironment } from '../setup/engineEnvironment.mjs';

const [command, ...rest] = process.argv.slice(2);
const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const source = new URL('./main.ts', import.meta.url);
const compiled = new URL('../../dist/services/cli/main.js', import.meta.url);

/** @returns {Promise<typeof import('./main.js')>} */
async function load() {
  if (!existsSync(source)) return import(compiled.href);
  const { register } = await import('tsx/esm/api');
  register();
  return import(source.href);
}

/** Runs the set-up, which must work before all else. An image has none; there the command says so. */
async function run() {
  const setup = new URL('../setup/setUp.mjs', import.meta.url);
  if (command === 'setup' && existsSync(setup)) {
    /** @type {typeof import('../setup/setUp.mjs')} */
    const { setUp } = await import(setup.href);
    return setUp(root, rest);
  }
  const { main } = await load();
  return main(process.argv.slice(2));
}

/** @param {unknown} error */
function isMissingPackage(error) {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  return code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
}

process.stdout.on('error', (error) => {
  if ('code' in error && error.code === 'EPIPE') process.exit(0); // e.g. cirkd doctor | head -1
  throw error;
});

// A service that a command has started ends with it, even if it was killed and couldn't signal it: the channel
// between them closes. The service then ends as on SIGTERM, or is killed after this time.
const PARENT_GONE_GRACE_MS = 15_000;
if (process.env.CIRKD_PARENT_PIPE === '1') {
  if (!process.connected) process.exit(143); // it was killed while this process started
  process.once('disconnect', () => {
    process.kill(process.pid, 'SIGTERM');
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), PARENT_GONE_GRACE_MS).unref();
  });
  process.channel?.unref();
}
delete process.env.CIRKD_PARENT_PIPE; // not for children of its own

// The first process of a container ignores signals that have no listener: a signal that arrives while
// the command is still being loaded would be lost, and the container killed much later.
for (const [signal, exitCode] of /** @type {const} */ ([
  ['SIGTERM', 143],
  ['SIGINT', 130],
])) {
  process.on(signal, () => {
    if (process.listenerCount(signal) === 1) process.exit(exitCode);
  });
}

let code = 2;
try {
  Object.assign(process.env, engineEnvironment(process.env));
  code = await run();
} catch (error) {
  if (process.env.CIRKD_DEBUG === '1') throw error;
  const message = error instanceof Error ? error.message.split('\n')[0] : String(error);
  process.stderr.write(`cirkd: ${message}\n`);
  if (isMissingPackage(error)) {
    const { setupCommand } = await import('../setup/layout.mjs');
    process.stderr.write(`Packages are missing. In ${root}, run: ${setupCommand(root)}\n`);
    if (command === 'doctor') {
      const { doctorWithoutPackages } = await import('../setup/doctor.mjs');
      code = await doctorWithoutPackages(rest);
    }
  }
}
process.exit(code);
