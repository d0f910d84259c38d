/** The command line from outside: real processes of services/cli/bin.mjs. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { COMMANDS } from '../../services/cli/commandTable.js';
import { describeFault } from '../../services/program/exitCode.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cirkd-cli-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function cirkd(args: string[], root = ROOT, env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(root, 'services', 'cli', 'bin.mjs'), ...args],
    { encoding: 'utf8', env: { ...process.env, ...env } },
  );
  return { status, stdout, stderr };
}

/** A clone of the sources whose node_modules has only the packages named. */
function bareClone(name: string, packages: string[]): string {
  const root = join(folder, name);
  mkdirSync(join(root, 'node_modules'), { recursive: true });
  for (const part of ['src', 'services', 'package.json', 'package-lock.json']) {
    cpSync(join(ROOT, part), join(root, part), { recursive: true });
  }
  for (const one of packages) {
    symlinkSync(join(ROOT, 'node_modules', one), join(root, 'node_modules', one));
  }
  return root;
}

test('--help lists every command and --version is that of package.json', () => {
  const help = cirkd(['--help']);
  assert.equal(help.status, 0);
  for (const name of Object.keys(COMMANDS))
    assert.match(help.stdout, new RegExp(`^  ${name} `, 'm'));
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  assert.equal(cirkd(['--version']).stdout, `${version}\n`);
});

test('no command, an unknown command and an unknown option give exit code 2 and one readable line', () => {
  assert.equal(cirkd([]).status, 2);
  const unknown = cirkd(['docter']);
  assert.equal(unknown.status, 2);
  assert.match(unknown.stderr, /^cirkd: There is no command 'docter'\. Did you mean 'doctor'\?\n/);
  const option = cirkd(['doctor', '--jsn']);
  assert.equal(option.status, 2);
  assert.match(option.stderr, /^cirkd: Unknown option '--jsn'/);
  assert.doesNotMatch(option.stderr, /\n {4}at /);
});

test('an invalid environment setting is refused before anything is loaded', () => {
  const { status, stderr } = cirkd(['--help'], ROOT, { CIRKD_GPU_MEMORY_MIB: 'lots' });
  assert.equal(status, 2);
  assert.match(stderr, /CIRKD_GPU_MEMORY_MIB is 'lots'/);
});

test('in a fresh clone cirkd says what to run, and doctor what is missing', () => {
  const root = bareClone('fresh', []);
  const teacher = cirkd(['teacher', '--simulate'], root);
  assert.equal(teacher.status, 2);
  assert.match(teacher.stderr, /Cannot find package 'tsx'[\s\S]*npm run setup/);
  const env = { CIRKD_CACHE: join(folder, 'no-cache'), CXX: 'env no-such-compiler' };
  const { status, stdout } = cirkd(['doctor'], root, env);
  assert.equal(status, 2);
  assert.match(stdout, /^ok +Node\.js +\d+\./m);
  assert.match(stdout, /^(ok|MISSING) +Python and pip +/m);
  assert.match(stdout, /^MISSING +C\+\+ compiler +does not run: env no-such-compiler;/m);
  assert.match(stdout, /^MISSING +npm packages +\d+ missing.*\n +to fix it: npm run setup$/m);
  assert.match(stdout, /^MISSING +libtensorflow +.*not in the cache .*no-cache\n +to fix it: /m);
  assert.match(stdout, /^MISSING +tfjs-node addon +/m);
  const { ready } = JSON.parse(cirkd(['doctor', '--json'], root, env).stdout);
  assert.equal(ready, false);
});

test('doctor works with most packages missing, and names them', () => {
  const root = bareClone('partly', ['tsx']);
  const { status, stdout, stderr } = cirkd(['doctor', '--json'], root, {
    CIRKD_CACHE: join(folder, 'no-cache'),
  });
  assert.equal(status, 2, stderr);
  const { ready, checks } = JSON.parse(stdout) as {
    ready: boolean;
    checks: { name: string; status: string; mend?: string }[];
  };
  assert.equal(ready, false);
  const missing = checks.filter((check) => check.status === 'missing');
  assert.deepEqual(
    missing.map(({ name }) => name),
    ['npm packages', 'libtensorflow', 'tfjs-node addon'],
  );
  for (const { name, mend } of missing) assert.match(mend ?? '', /npm run setup/, name);
});

test("the command table has each command's own summary", async () => {
  for (const [name, { summary, load }] of Object.entries(COMMANDS)) {
    const { command } = await load();
    assert.equal(command.name, name);
    assert.equal(command.summary, summary, name);
    assert.match(command.usage, new RegExp(`^cirkd ${name}\\b`));
  }
});

test('errors become the exit codes of the contract', () => {
  const named = (name: string) => Object.assign(new Error('what happened'), { name });
  const codes = {
    ConfigError: 2,
    TeacherUnavailableError: 3,
    ContractMismatchError: 4,
    CheckpointError: 5,
    NonFiniteLossError: 6,
    DataError: 7,
  };
  for (const [name, exitCode] of Object.entries(codes)) {
    assert.deepEqual(describeFault(named(name)), {
      exitCode,
      message: 'what happened',
      hint: null,
    });
  }
  assert.equal(describeFault(new TypeError('x is not a function')).exitCode, 1);
  assert.equal(describeFault(new TypeError('no')).message, 'TypeError: no');
});

test('a port in use gives exit code 2 with the address', async () => {
  const first = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => first.once('listening', resolve));
  const { port } = first.address() as { port: number };
  const second = createServer();
  const error = await new Promise((resolve) => {
    second.once('error', resolve);
    second.listen(port, '127.0.0.1');
  });
  first.close();
  assert.deepEqual(describeFault(error), {
    exitCode: 2,
    message: `The address 127.0.0.1:${port} is in use.`,
    hint: null,
  });
});
