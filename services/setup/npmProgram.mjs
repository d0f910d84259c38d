// Runs npm as a child process.
import { SetupError } from './setupError.mjs';
import { runProgram, tail } from './subprocess.mjs';

/**
 * @param {string[]} args
 * @param {string} cwd
 * @param {string} mend what the user should do if npm fails
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
 * @returns {string} npm's error lines, without the usage text that follows
 */
function npmErrors(output) {
  const lines = output.split('\n').filter((line) => /^npm (error|ERR!) \S/.test(line));
  const usage = lines.findIndex((line) => /Clean install a project/.test(line));
  return (usage > 0 ? lines.slice(0, usage) : lines).join('\n');
}

/** The environment without the settings that `npm run` passes on: they would make npm work in the clone. */
function environmentForNpm() {
  const env = { ...process.env };
  for (const name of Object.keys(env)) {
    if (/^npm_(package_|lifecycle_|config_local_prefix|config_prefix)/.test(name)) delete env[name];
  }
  return env;
}
