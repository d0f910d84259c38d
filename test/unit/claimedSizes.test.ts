/** Files whose headers or descriptions claim more than they hold are refused by name before memory is allocated. */
import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { command as exportCommand } from '../../services/cli/commands/export.js';
import { command as importCommand } from '../../services/cli/commands/import.js';
import { describeFault } from '../../services/program/exitCode.js';
import { exportModel } from '../../src/models/files/exportModel.js';
import { readImportSource } from '../../src/models/files/importModel.js';
import { readModelFile, writeModelFile } from '../../src/models/files/modelFile.js';
import { OFFICIAL_NORMALISATION } from '../../src/models/normalise.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { float32Tensor, parseSafetensors, SafetensorsError } from '../../src/wire/safetensors.js';
import { isTorchFile } from '../../src/wire/torch/torchCheckpoint.js';
import { writeUntrainedModel } from '../support/modelFiles/untrainedModel.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-claimed-'));
after(() => rmSync(folder, { recursive: true }));

function safetensors(header: string): Uint8Array {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  return Buffer.concat([length, Buffer.from(header)]);
}

test('headers of safetensors are checked down to their values', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['{"__metadata__":null}', /^__metadata__: null given, wanted an object of strings$/],
    ['{"__metadata__":[]}', /^__metadata__: a list given/],
    ['{"__metadata__":{"format":5}}', /^__metadata__: format is a number, wanted a string$/],
    ['{"w":null}', /^w: null given, wanted an object$/],
    ['{"w":7}', /^w: a number given/],
    ['{"w\\u001b[2J":[]}', /^w\ufffd\[2J: a list given/],
    ['{"w":{"dtype":"toString"}}', /^w: dtype 'toString' is not known$/],
    ['{"w":{}}', /^w: dtype nothing is not known$/],
    ['{"w\u001b', /^header: \P{Cc}*, wanted a JSON object$/u],
  ];
  for (const [header, message] of cases) {
    const isNamed = (error: Error) => message.test(error.message) || assert.fail(error.message);
    const file = safetensors(header);
    assert.throws(
      () => parseSafetensors(file),
      (error: Error) => error instanceof SafetensorsError && isNamed(error),
    );
    assert.throws(
      () => readImportSource(file),
      (error: Error) => error instanceof CheckpointError && isNamed(error),
    );
  }
});

test('a safetensors file whose length looks like a pickle is not taken for a PyTorch file', () => {
  assert.equal(isTorchFile(Uint8Array.of(0x80, 2, 0x8a, 0x0a, 0x6c)), true);
  assert.equal(isTorchFile(Uint8Array.of(0x80, 2, 0x8a, 0, 0, 0, 0, 0)), false);
});

test('a description of a huge network is refused before its weights are made', () => {
  const spec = { model: 'deeplabv3', backbone: 'resnet101', variant: 'v1' } as const;
  const description = {
    spec: { ...spec, numClasses: 2, widthMultiplier: 8 },
    normalisation: OFFICIAL_NORMALISATION,
    classNames: ['a', 'b'],
  };
  const few = new Map([['w', float32Tensor(new Float32Array(3), [3])]]);
  assert.throws(
    () => exportModel(writeModelFile(description, few)),
    (error: Error) =>
      error instanceof CheckpointError &&
      /^weights: 3 values are given, the network wants \d+ or more: pretrained\.\S+ alone \[/.test(
        error.message,
      ),
  );
});

test('class names are printed without terminal control characters', () => {
  const path = join(folder, 'model.safetensors');
  writeUntrainedModel(path, 0.125);
  const { description, tensors } = readModelFile(readFileSync(path));
  const classNames = description.classNames.map((name) => `${name}\u001b]0;\u202e`);
  const { lines } = exportModel(writeModelFile({ ...description, classNames }, tensors));
  assert.match(lines.join(), new RegExp(`${description.classNames[0]}\ufffd\\]0;\ufffd, `));
  assert.doesNotMatch(lines.join(), /[\p{Cc}\p{Cf}]/u);
});

test('import and export refuse a file above 2 GiB by name, with exit code 5', async () => {
  const file = join(folder, 'large.safetensors');
  const handle = openSync(file, 'w');
  ftruncateSync(handle, 2 ** 31 + 8);
  closeSync(handle);
  const runs = [
    () => importCommand.run([file, '--out', join(folder, 'x.safetensors')]),
    () => exportCommand.run([file, '--out', join(folder, 'x.pth')]),
  ];
  for (const run of runs) {
    const error: unknown = await run().then(
      () => null,
      (thrown: unknown) => thrown,
    );
    const { exitCode, message } = describeFault(error);
    assert.equal(exitCode, 5, message);
    assert.ok(message.startsWith(`${file}: File size`), message);
  }
});
