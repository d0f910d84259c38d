/** bench/gpu.sh: arguments, what it says without running anything, and stages that fail or take too long. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runProgram } from '../../services/setup/subprocess.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SCRIPT = join(ROOT, 'bench', 'gpu.sh');
const STAGES = ['setup', 'doctor', 'golden', 'unit', 'demo', 'step', 'profile'];

const run = (args: string[], env: NodeJS.ProcessEnv = {}) =>
  runProgram('bash', [SCRIPT, ...args], { env: { ...process.env, ...env } });

function folder(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'cirkd-gpu-'));
  t.after(() => rmSync(made, { recursive: true }));
  return made;
}

test('a dry run names stages, limits and what is missing, and writes nothing', async (t) => {
  const out = join(folder(t), 'out');
  const { code, output } = await run(['--dry-run'], { OUT: out });
  assert.equal(code, 0, output);
  for (const stage of STAGES) assert.match(output, new RegExp(`^${stage} +at most \\d+ s`, 'm'));
  assert.match(output, /^here {5}Node\.js/m);
  assert.match(output, /^(here {5}|missing {2})NVIDIA's driver$/m);
  assert.throws(() => readdirSync(out), /ENOENT/);
});

test('wrong arguments and settings end with exit code 2 and say what was wanted', async () => {
  for (const [args, env, wanted] of [
    [['--gpu'], {}, /--gpu given, wanted --cpu, --dry-run or nothing/],
    [['--cpu', '--cpu'], {}, /2 arguments given, wanted one at most/],
    [['--dry-run'], { GPU_SECONDS: 'ten' }, /GPU_SECONDS: ten given, wanted a whole number/],
    [
      ['--dry-run'],
      { GPU_STAGES: 'tests' },
      /GPU_STAGES: tests given, wanted some of setup doctor/,
    ],
  ] as const) {
    const { code, output } = await run([...args], env);
    assert.equal(code, 2, output);
    assert.match(output, wanted);
  }
});

test('a stage that fails or takes too long stops no other; the summary tells all', async (t) => {
  const [programs, out] = [folder(t), folder(t)];
  const fake = (name: string, body: string) =>
    writeFileSync(join(programs, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  fake('npm', 'echo no network; exit 3');
  fake('python3', 'exit 0');
  // Doctor answers; the tests take too long.
  fake('node', 'case "$*" in *doctor*|-e*) exit 0;; *) exec sleep 60;; esac');
  const { code, output } = await run(['--cpu'], {
    PATH: `${programs}:${process.env.PATH}`,
    OUT: out,
    GPU_SECONDS: '10',
    GPU_STAGES: 'setup doctor golden unit',
  });
  assert.equal(code, 1, output);
  const summary = readFileSync(join(out, 'summary.md'), 'utf8');
  assert.match(summary, /^\| setup \| failed \(3\) \| \d+ \|$/m);
  assert.match(summary, /^\| doctor \| passed \| \d+ \|$/m);
  assert.match(summary, /^\| golden \| stopped at its limit of \d+ s \| \d+ \|$/m);
  assert.match(summary, /^\| unit \| no time left \| 0 \|$/m);
  assert.match(readFileSync(join(out, '1-setup.log'), 'utf8'), /no network/);
  assert.deepEqual(readdirSync(out).sort(), [
    ...['1-setup.log', '2-doctor.log', '3-golden.log'],
    'summary.md',
  ]);
});
