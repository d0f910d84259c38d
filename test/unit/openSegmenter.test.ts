/** What a command takes as a model: a file, a checkpoint, a run. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openSegmenter } from '../../services/program/openSegmenter.js';
import { saveCheckpoint } from '../../src/run/checkpoint.js';
import { markBestCheckpoint } from '../../src/run/checkpointFolder.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { parseSafetensors } from '../../src/wire/safetensors.js';
import { writeUntrainedModel } from '../support/modelFiles/untrainedModel.js';

const directory = mkdtempSync(join(tmpdir(), 'cirkd-open-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const MODEL = join(directory, 'model.safetensors');
writeUntrainedModel(MODEL, 0.125);

/** A checkpoint whose network calls its first class by the step; returns its path. */
function checkpoint(folder: string, step: number): Promise<string> {
  const { tensors, metadata } = parseSafetensors(readFileSync(MODEL));
  const names = JSON.parse(metadata['class_names']!) as string[];
  return saveCheckpoint(folder, {
    ...{ packageVersion: '0', teacherDigest: null, datasetHash: '', config: {}, state: {}, step },
    files: {
      'student.safetensors': {
        tensors,
        metadata: {
          ...metadata,
          class_names: JSON.stringify([`step ${step}`, ...names.slice(1)]),
        },
      },
    },
  });
}

async function firstClass(path: string): Promise<string | undefined> {
  const segmenter = await openSegmenter(path);
  segmenter.dispose();
  return segmenter.description.classNames[0];
}

test('a run folder opens its best checkpoint, or the newest if none is marked; a checkpoint folder opens itself', async () => {
  assert.equal(await firstClass(MODEL), 'road');
  const run = join(directory, 'run');
  const folder = join(run, 'checkpoints');
  const first = await checkpoint(folder, 1);
  await checkpoint(folder, 2);
  assert.equal(await firstClass(run), 'step 2');
  await markBestCheckpoint(folder, { step: 1, miou: 0.5 });
  assert.equal(await firstClass(run), 'step 1');
  assert.equal(await firstClass(folder), 'step 1');
  assert.equal(await firstClass(first), 'step 1');
});

test('a damaged checkpoint, an empty folder and a file that is no model are CheckpointErrors', async () => {
  const damaged = await checkpoint(join(directory, 'damaged'), 3);
  truncateSync(join(damaged, 'student.safetensors'), 1000);
  const empty = join(directory, 'empty');
  mkdirSync(empty);
  const text = join(directory, 'text');
  writeFileSync(text, 'not a model');
  for (const path of [damaged, empty, text, join(directory, 'nowhere')]) {
    await assert.rejects(openSegmenter(path), (error: Error) => {
      assert.ok(error instanceof CheckpointError, `${path}: ${error.name}`);
      assert.ok(error.message.includes(path), error.message);
      return true;
    });
  }
});
