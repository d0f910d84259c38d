/** Holds the house rules: who imports whom, lengths, names, nothing of one machine in the files. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { circles, groupedGraph, importGraph } from '../support/architecture/importGraph.js';
import {
  ALLOWED,
  INNER,
  importViolations,
  unusedAllowances,
} from '../support/architecture/importRule.js';
import { leakViolations } from '../support/architecture/leakRule.js';
import {
  lengthViolations,
  nameViolations,
  processViolations,
} from '../support/architecture/shapeRule.js';
import type { Violation } from '../support/architecture/sources.js';
import { parseSource, readSources, walk } from '../support/architecture/sources.js';

const OWN_NAME = 'architecture.test.ts';
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const src = readSources(ROOT, 'src');
const services = readSources(ROOT, 'services');

function assertNone(violations: readonly Violation[]): void {
  const lines = violations.map(({ path, line, rule }) => `  ${path}:${line}: ${rule}`);
  assert.equal(lines.length, 0, `house rules broken:\n${lines.join('\n')}`);
}

const rulesOf = (violations: readonly Violation[]) =>
  violations.map(({ line, rule }) => `${line}: ${rule}`);

test('folders import only what the import rule allows', () => {
  assert.ok(src.length > 0 && services.length > 0, 'no sources were found');
  assertNone([...src, ...services].flatMap(importViolations));
});

test('every allowance of the import rule is used', () => {
  assert.deepEqual(unusedAllowances(src), []);
});

test('an allowance that no file uses is seen', () => {
  const text = "import type { Draws } from '../random/draws.js';";
  const unused = unusedAllowances([parseSource('src/data/made.ts', text)]);
  assert.ok(!unused.includes('data → random'), unused.join(', '));
  assert.ok(unused.includes('data → threads'), unused.join(', '));
  assert.ok(unused.includes('stream/client → stream/codec'), unused.join(', '));
});

test('every folder of src is in the import rule', () => {
  const folders = readdirSync(join(ROOT, 'src'));
  assert.deepEqual(
    folders.filter((name) => !(name in ALLOWED)),
    [],
  );
});

test('no files import each other in a circle, types included', () => {
  assert.deepEqual(circles(importGraph([...src, ...services])), []);
});

test('no top folders import each other in a circle', () => {
  const topOf = (path: string) => path.split('/').slice(0, 2).join('/');
  assert.deepEqual(circles(groupedGraph(importGraph([...src, ...services]), topOf)), []);
});

test('no folder of src and services holds more than 20 files of its own', () => {
  const counts = new Map<string, number>();
  for (const { path } of [...src, ...services]) {
    const folder = posix.dirname(path);
    counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  assert.deepEqual(
    [...counts].filter(([, files]) => files > 20),
    [],
  );
});

test('files and functions are short', () => {
  assertNone([...src, ...services].flatMap(lengthViolations));
});

test('file names are specific', () => {
  assertNone(['src', 'services', 'test'].flatMap((top) => walk(ROOT, top)).flatMap(nameViolations));
});

test('only services read arguments, environment and signals', () => {
  assertNone(src.flatMap(processViolations));
});

test('a unit test that inspects or changes its process declares that it needs its own', () => {
  const touches =
    /process\.(on|once|memoryUsage|resourceUsage|chdir|getActive\w+)\b|process\.exitCode =|setFlagsFromString\(/;
  const shared = readSources(ROOT, 'test/unit').filter(
    ({ path, text }) => !/^\/\/ @own-process: \S/m.test(text) && !path.endsWith(OWN_NAME),
  );
  const found = shared.filter(({ text }) => touches.test(text)).map(({ path }) => path);
  assert.deepEqual(found, []);
});

test('no file names a path of one machine or the host of a registry', () => {
  const texts = walk(ROOT, '.').filter((path) => !/\.(safetensors|png|pth|node)$/.test(path));
  assert.ok(texts.includes('package.json'), `read: ${texts.join(', ')}`);
  assertNone(texts.flatMap((path) => leakViolations(path, readFileSync(join(ROOT, path), 'utf8'))));
});

test('code that relies on undocumented parts of grpc-js is in one file, and the version is pinned', () => {
  const internals =
    /\b_createSecureConnector\b|\bhttp2Servers\b|\bnextCall\b|\bmaybeSendMetadata\b/;
  const found = [...src, ...services].filter(({ text }) => internals.test(text));
  assert.deepEqual(
    found.map(({ path }) => path),
    ['src/rpc/grpcInternals.ts'],
  );
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  assert.match(dependencies['@grpc/grpc-js'], /^\d+\.\d+\.\d+$/);
});

test('the import rule sees every way to import', () => {
  const text = [
    "import { a } from '../tensor/index.js';",
    "import type { B } from '../rpc/server.js';",
    "export { c } from '../../services/cli/main.js';",
    "const d = await import('../telemetry/log.js');",
    "type E = import('../data/types.js').Sample;",
    "const f = require('@tensorflow/tfjs-node-gpu');",
    "import { g } from './tiling.js';",
    "import { h } from '@grpc/grpc-js';",
  ].join('\n');
  assert.deepEqual(rulesOf(importViolations(parseSource('src/losses/made.ts', text))), [
    '2: src/losses may import tensor; not src/rpc',
    '3: nothing imports services',
    '4: src/losses may import tensor; not src/telemetry',
    '5: src/losses may import tensor; not src/data',
    '6: only src/tensor may import @tensorflow/tfjs-node-gpu',
    '8: only src/rpc and src/stream and src/oip may import @grpc/grpc-js',
  ]);
});

test('circles are seen through types and chains', () => {
  const graph = importGraph([
    parseSource('src/data/a.ts', "import type { B } from './b.js';"),
    parseSource('src/data/b.ts', "export { c } from './c.js';"),
    parseSource('src/data/c.ts', "const a = await import('./a.js');"),
    parseSource('src/data/d.ts', "import { a } from './a.js';"),
  ]);
  assert.deepEqual(circles(graph), [['src/data/a.ts', 'src/data/b.ts', 'src/data/c.ts']]);
});

test('the import rule sees inner folders', () => {
  const text = [
    "import { a } from '../codec/wireNames.js';",
    "import { b } from '../server/session.js';",
    "import { c } from './fleet.js';",
    "import { d } from '../../rpc/errors.js';",
  ].join('\n');
  assert.deepEqual(rulesOf(importViolations(parseSource('src/stream/client/made.ts', text))), [
    '2: src/stream/client may import stream/codec, stream/generated; not src/stream/server/session.js',
  ]);
});

test('every folder of src/stream and src/oip is in the import rule', () => {
  const folders = ['stream', 'oip'].flatMap((parent) =>
    readdirSync(join(ROOT, 'src', parent)).map((name) => `${parent}/${name}`),
  );
  const ruled = Object.keys(INNER).filter((name) => folders.includes(name));
  assert.deepEqual(folders.sort(), [...ruled, 'stream/generated', 'oip/generated'].sort());
});

test('the other rules detect violations', () => {
  const long = `export function long() {\n${'  step();\n'.repeat(59)}}\n`;
  const over = parseSource('src/data/made.ts', `// one\n${long}`);
  assert.deepEqual(rulesOf(lengthViolations(over)), [
    '2: a function has at most 60 lines; this has 61',
  ]);
  const file = parseSource('src/data/made.ts', 'step();\n'.repeat(301));
  assert.equal(rulesOf(lengthViolations(file))[0]?.startsWith('301: a file has at most'), true);
  const reads = "const x = process.env['X'];\nprocess.once('SIGTERM', stop);\n";
  assert.deepEqual(rulesOf(processViolations(parseSource('src/data/made.ts', reads))), [
    '1: only services use process.env',
    '2: only services use SIGTERM',
  ]);
  assert.equal(nameViolations('src/data/imageUtils.ts').length, 1);
  assert.equal(nameViolations('src/data/helpers/a.ts').length, 1);
  assert.equal(leakViolations('a.md', `see ${['', 'root', 'x'].join('/')}`).length, 1);
});
