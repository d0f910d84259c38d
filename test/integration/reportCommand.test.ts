/** `cirkd report` as a process, on folders as runs leave them. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../../services/cli/bin.mjs', import.meta.url));

const directory = mkdtempSync(join(tmpdir(), 'cirkd-report-command-'));
after(() => rmSync(directory, { recursive: true }));

function report(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [BIN, 'report', ...argv], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

function madeRun(name: string, miou: number): string {
  const path = join(directory, name);
  mkdirSync(path);
  writeFileSync(join(path, 'config.yaml'), `train: {steps: 1}\nname: ${name}\n`);
  const events = [
    { kind: 'start', step: 0, teacher: null, classNames: ['road'], seed: 1, environment: {} },
    { kind: 'evaluation', step: 1, miou, pixelAccuracy: 0.75, iou: [miou] },
    { kind: 'end', step: 1 },
  ];
  writeFileSync(join(path, 'events.jsonl'), events.map((e) => `${JSON.stringify(e)}\n`).join(''));
  return path;
}

test('one run is reported into its folder, several into another; tables go to standard output', async () => {
  const [a, b] = [madeRun('first', 0.5), madeRun('second', 0.625)];
  const one = await report(a);
  assert.equal(one.code, 0, one.stderr);
  assert.match(one.stdout, /^mean IoU +50\.0 %$/m);
  assert.ok(existsSync(join(a, 'report.png')), 'no report.png');
  const out = join(directory, 'compared', 'deep');
  const both = await report(a, b, '--out', out);
  assert.equal(both.code, 0, both.stderr);
  assert.match(both.stdout, /^mean IoU against first, points +– +\+12\.50$/m);
  const html = readFileSync(join(out, 'report.html'), 'utf8');
  assert.match(html, /<td>name<\/td><td>&quot;first&quot;<\/td><td>&quot;second&quot;<\/td>/);
});

test('a missing run, a missing or unusable folder for a comparison: exit code 2, named', async () => {
  const run = madeRun('third', 0.5);
  const file = join(run, 'config.yaml');
  const faults: [string[], RegExp][] = [
    [[], /no run given/],
    [[run, run], /--out: required to compare several runs/],
    [[join(directory, 'nowhere')], /nowhere: contains no run/],
    [[file], /config\.yaml: contains no run/],
    [[run, '--out', file], /--out: .*config\.yaml is a file/],
  ];
  for (const [argv, pattern] of faults) {
    const { code, stderr } = await report(...argv);
    assert.equal(code, 2, stderr);
    assert.match(stderr, pattern);
  }
});
