/**
 * The package as others get it: packed by npm, installed into an empty project from the registry, set up,
 * and driven by the command line and by the programs of examples/api, which are compiled against its types.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { eventually } from '../support/eventually.js';
import { writeTiny } from '../support/onnx/openTiny.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cirkd-package-'));
const app = join(folder, 'app');
const installed = join(app, 'node_modules', 'cirkd');
const BIN = join(installed, 'services', 'cli', 'bin.mjs');
/** The registry's answers and a compiler on two busy cores. */
const SLOW_MS = 300_000;
const children: ChildProcess[] = [];

/** As typed by a user: nothing of the npm that runs these tests. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('npm_')),
);

async function run(program: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args, {
    ...{ cwd: app, env, timeout: SLOW_MS, maxBuffer: 1 << 26 },
  });
  return stdout;
}

interface Running {
  readonly child: ChildProcess;
  text(): string;
  /** Waits for a line on standard output. */
  says(pattern: RegExp): Promise<RegExpExecArray>;
  exitCode(): Promise<number | null>;
}

function start(...args: string[]): Running {
  const child = spawn(process.execPath, args, { cwd: app, env, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  const ended = once(child, 'close');
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    err += text;
  });
  return {
    child,
    text: () => `${out}\n${err}`,
    async says(pattern) {
      await eventually(() => pattern.test(out) || child.exitCode !== null, SLOW_MS);
      const found = pattern.exec(out);
      assert.ok(found, `ended with ${child.exitCode}: ${out}\n${err}`);
      return found;
    },
    async exitCode() {
      const [code] = await ended;
      return code;
    },
  };
}

before(async () => {
  mkdirSync(app);
  const pack = ['pack', '--pack-destination', folder];
  await promisify(execFile)('npm', pack, { cwd: ROOT, env, timeout: SLOW_MS, maxBuffer: 1 << 26 });
  const archive = readdirSync(folder).find((name) => name.endsWith('.tgz'));
  assert.ok(archive, readdirSync(folder).join());
  writeFileSync(join(app, 'package.json'), '{"name":"app","private":true,"type":"module"}');
  await run('npm', 'install', '--ignore-scripts', '--no-audit', join(folder, archive));
});

after(() => {
  for (const child of children) if (child.exitCode === null) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

test('the package has what runs and what the addon is built of, no sources or tests of its own', () => {
  const files = readdirSync(installed, { recursive: true, encoding: 'utf8' });
  for (const wanted of [
    ...['LICENSE', 'README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'docs/library.md'],
    ...['dist/services/index.js', 'dist/services/index.d.ts', 'dist/services/setup/extract.py'],
    ...['services/setup/extract.py', 'src/tensor/native/level.h', 'examples/demo/student.yaml'],
    'proto/cirkd/teacher/v1/teacher.proto',
  ]) {
    assert.ok(files.includes(wanted), `${wanted} is missing`);
  }
  const own = files.filter(
    (path) => !/^(examples|dist)\//.test(path) && /\.(ts|test\.)/.test(path),
  );
  assert.deepEqual(own, []);
  assert.deepEqual(
    files.filter(
      (path) =>
        /^(test|bench|deploy|\.ci|dist\/services\/setup\/(tests|tools))\//.test(path) ||
        path.endsWith('.map'),
    ),
    [],
  );
  assert.match(readFileSync(join(installed, 'LICENSE'), 'utf8'), /^ +Copyright 2026 The cirkd/m);
});

test('before the set-up doctor and a teacher say what is missing and what to type', async () => {
  const doctor = start(BIN, 'doctor');
  assert.equal(await doctor.exitCode(), 2);
  assert.match(doctor.text(), /^MISSING +tfjs-node addon .*\n +to fix it: npx cirkd setup$/m);
  const checkpoint = join(installed, 'examples', 'demo', 'teacher.safetensors');
  const ports = ['--port', '0', '--metrics-port', '0'];
  const teacher = start(BIN, 'teacher', '--checkpoint', checkpoint, ...ports);
  assert.equal(await teacher.exitCode(), 2, teacher.text());
  assert.match(teacher.text(), /Cannot find module '@tensorflow.*\nRun: npx cirkd setup$/m);
});

test('cirkd setup: an unknown word is refused; then doctor finds all; a later npm install takes nothing away', async () => {
  const refused = start(BIN, 'setup', '--gpu');
  assert.equal(await refused.exitCode(), 2);
  assert.match(refused.text(), /'--gpu' given, wanted --cpu or --cuda/);
  await run('npx', 'cirkd', 'setup');
  assert.match(await run('npx', 'cirkd', 'doctor'), /^Everything needed is installed\.$/m);
  await run('npm', 'install', '--ignore-scripts', '--no-audit', 'zod');
  const again = start(BIN, 'setup');
  assert.equal(await again.exitCode(), 0);
  assert.equal(again.text().trim(), '', 'there is nothing to do');
  assert.ok(existsSync(join(installed, 'dist/node_modules/@tensorflow/tfjs-node-gpu')));
});

test('cirkd teacher serves from the package and ends well on SIGTERM', async () => {
  const teacher = start(BIN, 'teacher', '--simulate', '--port', '0', '--metrics-port', '0');
  const [, url] = await teacher.says(/^teacher ready: .* metrics (\S+),/m);
  assert.match(await (await fetch(url!)).text(), /^cirkd_teacher_streams 0$/m);
  teacher.child.kill('SIGTERM');
  assert.equal(await teacher.exitCode(), 0, teacher.text());
});

test('the programs of examples/api compile against the types, and train with one another', async () => {
  cpSync(join(installed, 'examples', 'api'), app, { recursive: true });
  const options = {
    ...{ target: 'es2023', module: 'nodenext', strict: true, outDir: 'out' },
    ...{ exactOptionalPropertyTypes: true, skipLibCheck: false },
    ...{ types: ['node'], typeRoots: [join(ROOT, 'node_modules', '@types')] },
  };
  const project = { compilerOptions: options, files: ['teacher.ts', 'student.ts'] };
  writeFileSync(join(app, 'tsconfig.json'), JSON.stringify(project));
  await run(process.execPath, join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', app);

  const teacher = start('out/teacher.js');
  const [, address = ''] = await teacher.says(/^simulated at (\S+), metrics at http/m);
  const student = start('out/student.js', address);
  assert.equal(await student.exitCode(), 0, student.text());
  const [, runFolder = ''] = await student.says(/^finished: (\S+)$/m);
  const summary = JSON.parse(readFileSync(join(app, runFolder, 'summary.json'), 'utf8'));
  assert.equal(summary.steps, 4);
  assert.ok(summary.cirkd.miou >= 0, JSON.stringify(summary));
  teacher.child.kill('SIGTERM');
  assert.equal(await teacher.exitCode(), 0, teacher.text());
  assert.match(teacher.text(), /^closed: drained$/m);

  const lonely = start('out/student.js', '127.0.0.1:1', 'no address');
  assert.equal(await lonely.exitCode(), 2, lonely.text());
  assert.match(lonely.text(), /ConfigError: student config: 1 fault\n +teacher\.addresses\.1: got/);
});

test('ONNX files are served by the optional dependency; without it exit code 2 says what is missing', async () => {
  const graph = writeTiny(folder, {});
  const options = ['--onnx', graph, '--set', 'graph.normalisation=imagenet'];
  const ports = ['--port', '0', '--metrics-port', '0'];
  const teacher = start(BIN, 'teacher', ...options, ...ports);
  await teacher.says(/^teacher ready: .* model model\.onnx,/m);
  teacher.child.kill('SIGTERM');
  assert.equal(await teacher.exitCode(), 0, teacher.text());

  rmSync(join(app, 'node_modules', 'onnxruntime-node'), { recursive: true });
  const without = start(BIN, 'teacher', ...options, ...ports);
  assert.equal(await without.exitCode(), 2, without.text());
  assert.match(
    without.text(),
    /^cirkd: graph\.onnx: the package onnxruntime-node, which .* is not in/m,
  );
});
