/** `cirkd conformance` as a process: lines, counts and exit codes. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { OPERATIONS } from '../../src/conformance/table.js';

const DATA = fileURLToPath(new URL('data', import.meta.url));
const BIN = fileURLToPath(new URL('../../services/cli/bin.mjs', import.meta.url));

function conformance(
  ...argv: string[]
): Promise<{ code: number; lines: string[]; stderr: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [BIN, 'conformance', ...argv],
      { env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '2' } },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : Number(error.code);
        resolve({ code, lines: stdout.trimEnd().split('\n'), stderr });
      },
    );
  });
}

test('a line a key, then the counts, exit 0', async () => {
  const { code, lines } = await conformance(DATA, '--op', 'recipe,segmentation_metric');
  assert.equal(code, 0);
  assert.equal(lines[0], 'PASS\trecipe\trecipe_0\tvalues\t0');
  assert.equal(lines.length, 40);
  assert.equal(lines.at(-1), '39 passed, 0 failed, 0 skipped');
  for (const line of lines.slice(0, -1)) {
    assert.match(line, /^PASS\t(recipe|segmentation_metric)\t\w+\t\w+\t[0-9.]+$/);
  }
});

test('an operation that is named and unknown here exits 1', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'cirkd-golden-'));
  try {
    const record = { name: 'x', op: 'telepathy', expected: { loss: 'a.safetensors#x' } };
    const set = JSON.stringify({ format: 1, cases: [record] });
    writeFileSync(join(directory, 'cases.json'), set);
    const { code, lines } = await conformance(directory, '--op', 'telepathy');
    assert.equal(code, 1);
    assert.deepEqual(lines, [
      'UNSUPPORTED\ttelepathy\tx\tloss\t-',
      '0 passed, 0 failed, 1 skipped',
    ]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('the dev set has no operation that is not supported', async () => {
  const set = JSON.parse(readFileSync(join(DATA, 'cases.json'), 'utf8'));
  const known = new Set(OPERATIONS.keys());
  const unknown = set.cases.filter(({ op }: { op: string }) => !known.has(op));
  assert.deepEqual(unknown, []);
});

test('a wrong expectation exits 1 and says where', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'cirkd-golden-'));
  try {
    cpSync(join(DATA, 'kd.safetensors'), join(directory, 'kd.safetensors'));
    const set = JSON.parse(readFileSync(join(DATA, 'cases.json'), 'utf8'));
    const cases = set.cases.filter((entry: { name: string }) => entry.name === 'kd_t4');
    cases[0].expected.loss = cases[0].expected['grad/student'];
    writeFileSync(join(directory, 'cases.json'), JSON.stringify({ ...set, cases }));
    const { code, lines, stderr } = await conformance(directory);
    assert.equal(code, 1);
    assert.equal(lines[0], 'FAIL\tkd\tkd_t4\tloss\tinf');
    assert.match(lines[1]!, /^PASS\tkd\tkd_t4\tgrad\/student\t/);
    assert.equal(lines[2], '1 passed, 1 failed, 0 skipped');
    assert.match(stderr, /kd_t4: loss: shape \[\]/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('no golden set, a misspelt operation and no folder exit 2', async () => {
  const missing = await conformance(join(DATA, 'nothing'));
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /cases\.json/);
  const misspelt = await conformance(DATA, '--op', 'recipes');
  assert.equal(misspelt.code, 2);
  assert.match(misspelt.stderr, /--op: recipes given, wanted some of recipe,/);
  assert.equal((await conformance()).code, 2);
});
