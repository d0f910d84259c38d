import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { latestCheckpoint, loadCheckpoint, saveCheckpoint } from '../../src/run/checkpoint.js';
import {
  bestCheckpoint,
  clearLeftovers,
  markBestCheckpoint,
} from '../../src/run/checkpointFolder.js';
import { formatManifest } from '../../src/run/manifest.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { float32Tensor, int32Tensor } from '../../src/wire/safetensors.js';

const CHILD = fileURLToPath(new URL('../support/training/savingChild.ts', import.meta.url));

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'cirkd-checkpoint-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Larger than the writer's pieces, so that a piece ends inside a tensor. */
const LARGE = 700_001;

function content(step: number) {
  return {
    step,
    packageVersion: '1.2.3',
    teacherDigest: `sha256:${'a'.repeat(64)}`,
    datasetHash: 'd'.repeat(64),
    config: { seed: 7, nested: { list: [1, null, 'x'], 3: 'number key' } },
    state: { bestMiou: 0.25 },
    files: {
      'student.safetensors': {
        tensors: new Map([
          [
            'weight',
            float32Tensor(
              Float32Array.from({ length: LARGE }, (_, i) => i / step),
              [LARGE],
            ),
          ],
          ['empty', float32Tensor(new Float32Array(0), [0, 4])],
        ]),
        metadata: { model: 'deeplabv3' },
      },
      'memory.safetensors': {
        tensors: new Map([['pointer', int32Tensor(Int32Array.of(1, -2, 3), [3])]]),
      },
    },
  };
}

const namesIn = (folder: string) => readdirSync(folder).sort();

test('a checkpoint is restored bit for bit', async (t) => {
  const folder = join(temporaryFolder(t), 'run', 'checkpoints');
  const saved = content(12);
  const path = await saveCheckpoint(folder, saved);
  assert.equal(path, join(folder, 'step-00000012'));
  assert.deepEqual(namesIn(path), ['manifest.json', 'memory.safetensors', 'student.safetensors']);
  const loaded = await loadCheckpoint(path);
  const { files: _written, ...fields } = saved;
  const { files: _listed, formatVersion, ...manifest } = loaded.manifest;
  assert.equal(formatVersion, 1);
  assert.deepEqual(manifest, JSON.parse(JSON.stringify(fields)));
  const student = loaded.files.get('student.safetensors');
  assert.deepEqual(student?.metadata, { model: 'deeplabv3' });
  assert.deepEqual([...(student?.tensors.keys() ?? [])], ['weight', 'empty']);
  const wanted = saved.files['student.safetensors'].tensors.get('weight');
  assert.ok(
    Buffer.compare(
      student?.tensors.get('weight')?.data ?? Buffer.of(),
      wanted?.data ?? Buffer.of(),
    ) === 0,
    'another weight than was saved',
  );
  assert.equal(await latestCheckpoint(folder), path);
});

test('a damaged checkpoint is named and refused, and the one before is used', async (t) => {
  const folder = temporaryFolder(t);
  const good = await saveCheckpoint(folder, content(1));
  const whole = await saveCheckpoint(folder, content(2));
  const flip = (path: string, at: number) => {
    const bytes = readFileSync(path);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(path, bytes);
  };
  const damages: [string, RegExp, (path: string) => void][] = [
    ['student.safetensors', /student\.safetensors: damaged: sha256/, (path) => flip(path, LARGE)],
    [
      'student.safetensors',
      /student\.safetensors: \d+ bytes, wanted \d+/,
      (path) => truncateSync(path, 999),
    ],
    [
      'student.safetensors',
      /student\.safetensors: \d+ bytes, wanted/,
      (path) => writeFileSync(path, '+', { flag: 'a' }),
    ],
    ['memory.safetensors', /memory\.safetensors: not there/, (path) => rmSync(path)],
    ['manifest.json', /manifest\.json: not there/, (path) => rmSync(path)],
    ['manifest.json', /manifest\.json: no JSON object/, (path) => truncateSync(path, 40)],
    [
      'manifest.json',
      /manifest\.json: damaged: sha256/,
      (path) => writeFileSync(path, readFileSync(path, 'utf8').replace('"step": 2', '"step": 3')),
    ],
    [
      'manifest.json',
      /formatVersion 9, wanted 1/,
      (path) =>
        writeFileSync(
          path,
          readFileSync(path, 'utf8').replace('"formatVersion": 1', '"formatVersion": 9'),
        ),
    ],
  ];
  const aside = join(folder, 'aside');
  cpSync(whole, aside, { recursive: true });
  for (const [file, wanted, damage] of damages) {
    rmSync(whole, { recursive: true });
    cpSync(aside, whole, { recursive: true });
    damage(join(whole, file));
    await assert.rejects(loadCheckpoint(whole), (error) => {
      assert.ok(
        error instanceof CheckpointError && error.name === 'CheckpointError',
        String(error),
      );
      assert.match(error.message, wanted);
      assert.ok(error.message.includes(join(whole, file)), error.message);
      return true;
    });
    const notes: string[] = [];
    assert.equal(await latestCheckpoint(folder, (note) => notes.push(note)), good);
    assert.equal(notes.length, 1);
    assert.match(notes[0] ?? '', wanted);
  }
});

test('a manifest cannot refer to files outside of its folder, and odd file names are refused', async (t) => {
  const folder = temporaryFolder(t);
  const files = { '../evil.safetensors': { tensors: new Map() } };
  await assert.rejects(
    saveCheckpoint(folder, { ...content(1), files }),
    /evil\.safetensors: wanted/,
  );
  const path = await saveCheckpoint(folder, content(2));
  const { manifest } = await loadCheckpoint(path);
  const outside = { '../../x.safetensors': { bytes: 1, sha256: 'a'.repeat(64) } };
  writeFileSync(join(path, 'manifest.json'), formatManifest({ ...manifest, files: outside }));
  await assert.rejects(loadCheckpoint(path), /manifest\.json: files\.\.\.\/\.\.\/x\.safetensors: /);
});

test('a missing folder has no checkpoint', async (t) => {
  assert.equal(await latestCheckpoint(join(temporaryFolder(t), 'nowhere')), null);
});

test('a folder that cannot be written to is named', async (t) => {
  const file = join(temporaryFolder(t), 'file');
  writeFileSync(file, '');
  await assert.rejects(saveCheckpoint(file, content(3)), (error) => {
    assert.ok(error instanceof CheckpointError, String(error));
    assert.match(error.message, /file: step 3 cannot be saved: /);
    return true;
  });
});

test('rotation keeps the newest and the best', async (t) => {
  const folder = temporaryFolder(t);
  assert.equal(await bestCheckpoint(folder), null);
  for (const step of [10, 20, 30]) await saveCheckpoint(folder, content(step), 2);
  assert.deepEqual(namesIn(folder), ['step-00000020', 'step-00000030']);
  await markBestCheckpoint(folder, { step: 20, miou: 0.5 });
  for (const step of [40, 50]) await saveCheckpoint(folder, content(step), 2);
  assert.deepEqual(namesIn(folder), [
    'best.json',
    'step-00000020',
    'step-00000040',
    'step-00000050',
  ]);
  assert.deepEqual(await bestCheckpoint(folder), {
    step: 20,
    miou: 0.5,
    path: join(folder, 'step-00000020'),
  });
  await markBestCheckpoint(folder, { step: 50, miou: 0.6 });
  await saveCheckpoint(folder, content(60), 2);
  assert.deepEqual(namesIn(folder), ['best.json', 'step-00000050', 'step-00000060']);
  await assert.rejects(markBestCheckpoint(folder, { step: 20, miou: 1 }), CheckpointError);
});

test('saving a step again replaces the first checkpoint', async (t) => {
  const folder = temporaryFolder(t);
  await saveCheckpoint(folder, content(5));
  const path = await saveCheckpoint(folder, { ...content(5), state: { again: true } });
  assert.deepEqual(namesIn(folder), ['step-00000005']);
  assert.deepEqual((await loadCheckpoint(path)).manifest.state, { again: true });
  // Killed between the two renames: the first checkpoint is put back.
  renameSync(path, join(folder, '.replaced-step-00000005'));
  await clearLeftovers(folder);
  assert.deepEqual(namesIn(folder), ['step-00000005']);
  assert.equal(await latestCheckpoint(folder), path);
});

function startChild(t: TestContext, folder: string, mode: string) {
  const child = spawn(process.execPath, ['--import', 'tsx', CHILD, folder, mode], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

test('kill -9 inside a file leaves the last good checkpoint, and the next save cleans up', async (t) => {
  const folder = temporaryFolder(t);
  const [, signal] = (await once(startChild(t, folder, 'mid-file'), 'exit')) as [unknown, string];
  assert.equal(signal, 'SIGKILL');
  assert.deepEqual(namesIn(folder), ['.tmp-step-00000002', 'step-00000001']);
  assert.deepEqual(namesIn(join(folder, '.tmp-step-00000002')), ['a.safetensors', 'b.safetensors']);
  const notes: string[] = [];
  const latest = await latestCheckpoint(folder, (note) => notes.push(note));
  assert.equal(latest, join(folder, 'step-00000001'));
  assert.deepEqual(notes, []);
  await saveCheckpoint(folder, content(2));
  assert.deepEqual(namesIn(folder), ['step-00000001', 'step-00000002']);
});

test('kill -9 at any moment of a series of saves: the newest named checkpoint is complete', async (t) => {
  const folder = temporaryFolder(t);
  const child = startChild(t, folder, 'loop');
  let announced = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    announced = Number(line);
    if (announced === 4) child.kill('SIGKILL');
  }
  assert.ok(announced >= 4, String(announced));
  const notes: string[] = [];
  const latest = await latestCheckpoint(folder, (note) => notes.push(note));
  assert.deepEqual(notes, []);
  const { manifest } = await loadCheckpoint(latest ?? '');
  assert.ok(manifest.step >= announced, `${manifest.step} after ${announced}`);
});
