// npm as a program of its own.
import { SetupError } from './setupError.mjs';
import { runProgram, tail } from './subprocess.mjs';

/**
 * @param {string[]} args
 * @param {string} cwd
 * @param {string} mend what to do where npm fails
 * @throws {SetupError} npm is missing or fails
 */
export async function runNpm(args, cwd, mend) {
  const [program = '', ...first] = npmCommand();
  const outcome = await runProgram(program, [...first, ...args], { cwd, env: environmentForNpm() });
  if (outcome.missing) {
    throw new SetupError('npm was not found on the PATH.', 'Install npm: it comes with Node.js.');
  }
  if (outcome.code !== 0) {
    throw new SetupError(
      `npm ${args[0]} failed (exit code ${outcome.code}):\n${tail(npmErrors(outcome.output))}`,
      mend,
    );
  }
}

/** @returns {string[]} the npm that runs this script, or the one on the PATH */
function npmCommand() {
  const path = process.env.npm_execpath ?? '';
  return /npm-cli\.c?js$/.test(path) ? [process.execPath, path] : ['npm'];
}

/**
 * @param {string} output
 * @returns {string} what npm says of the fault, without the usage text that follows
 */
function npmErrors(output) {
  const lines = output.split('\n').filter((line) => /^npm (error|ERR!) \S/.test(line));
  const usage = lines.findIndex((line) => /Clean install a project/.test(line));
  return (usage > 0 ? lines.slice(0, usage) : lines).join('\n');
}

/** npm run hands its own settings on; those of the clone would make npm work there. */
function environmentForNpm() {
  const env = { ...process.env };
  for (const name of Object.keys(env)) {
    if (/^npm_(package_|lifecycle_|config_local_prefix|config_prefix)/.test(name)) delete env[name];
  }
  return env;
}
