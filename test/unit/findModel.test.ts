import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { findModel } from '../../services/teacher/findModel.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-find-'));
after(() => rmSync(folder, { recursive: true }));

/** A folder with these files; a name with a slash lies in a folder of its own. */
function made(name: string, ...files: string[]): string {
  const path = join(folder, name);
  mkdirSync(path);
  for (const file of files) {
    mkdirSync(join(path, file, '..'), { recursive: true });
    writeFileSync(join(path, file), '');
  }
  return path;
}

test('files and folders that are a model, and folders that contain one', () => {
  const safetensors = made('safetensors', 'teacher.safetensors', 'README.md');
  const onnx = made('onnx', 'city.ONNX', 'city.yaml', 'city.data');
  const saved = made('saved', 'saved_model.pb', 'variables/variables.index');
  const versioned = made('versioned', '1/saved_model.pb');
  for (const [path, key, wanted] of [
    [safetensors, 'checkpoint', join(safetensors, 'teacher.safetensors')],
    [join(safetensors, 'teacher.safetensors'), 'checkpoint', undefined],
    [onnx, 'graph.onnx', join(onnx, 'city.ONNX')],
    [join(onnx, 'city.ONNX'), 'graph.onnx', undefined],
    [saved, 'graph.savedModel', undefined],
    [versioned, 'graph.savedModel', join(versioned, '1')],
  ] as const) {
    assert.deepEqual(findModel(path), { key, path: wanted ?? path });
  }
});

test('none, several, something else, nothing there: refused, and what was found is named', () => {
  const wanted = 'wanted one .safetensors file, one .onnx file or one SavedModel';
  const two = made('two', 'a.safetensors', 'b.onnx');
  const none = made('none', 'weights.pth');
  for (const [path, said] of [
    [two, `${two} contains ${join(two, 'a.safetensors')}, ${join(two, 'b.onnx')}, ${wanted}`],
    [none, `${none} contains none of them, ${wanted}`],
    [join(none, 'weights.pth'), `weights.pth given, ${wanted}`],
    [join(none, 'missing'), 'ENOENT'],
  ] as const) {
    assert.throws(
      () => findModel(path),
      (error: Error) => error.name === 'UsageError' && error.message.includes(said),
    );
  }
});
