import assert from 'node:assert/strict';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runProgram } from '../../services/setup/subprocess.mjs';
import { ContainedProcess, USER } from '../support/deploy/containedProcess.js';
import { eventually } from '../support/eventually.js';
import { healthOf } from '../support/connections/grpcProbes.js';
import { assembleImage, type ImageTree } from '../support/deploy/imageTree.js';
import { tinyStudent, tinyTeacher } from '../support/training/tinyRun.js';
import { TrainedRun } from '../support/training/trainedRun.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ENGINE = 'node_modules/@tensorflow/tfjs-node-gpu';
/** What node:20-bookworm-slim's node needs itself, and Debian's base image has. */
const BASE_LIBRARIES = ['c', 'dl', 'gcc_s', 'm', 'pthread', 'resolv', 'rt', 'stdc++'];
const PORTS = ['listen.port=0', 'listen.healthPort=0', 'metrics.port=0'];

const folder = mkdtempSync(join(tmpdir(), 'cirkd-contained-'));
const volume = join(folder, 'volume');
const started: ContainedProcess[] = [];
let image: ImageTree;

function start(...args: string[]): ContainedProcess {
  const bin = join(image.app, 'services/cli/bin.mjs');
  const contained = new ContainedProcess(volume, image.node, bin, ...args);
  started.push(contained);
  return contained;
}

function startTeacher(...more: string[]): ContainedProcess {
  return start('teacher', ...[...PORTS, ...more].flatMap((text) => ['--set', text]));
}

function files(): string[] {
  const paths = readdirSync(image.app, { recursive: true, encoding: 'utf8' });
  return paths.filter((path) => lstatSync(join(image.app, path)).isFile()).sort();
}

before(async () => {
  chmodSync(folder, 0o755);
  mkdirSync(volume);
  image = await assembleImage();
});
afterEach(() => {
  for (const contained of started.splice(0)) contained.kill();
});
after(() => {
  image?.close();
  rmSync(folder, { recursive: true });
});

test('of tfjs the image has the addon and its libraries alone', () => {
  const engine = files().filter((path) => /^node_modules\/.*(tensorflow|tfjs)/.test(path));
  assert.deepEqual(engine, [
    `${ENGINE}/deps/lib/libtensorflow_cc.so.2`,
    `${ENGINE}/deps/lib/libtensorflow_framework.so.2`,
    `${ENGINE}/lib/napi-v8/tfjs_binding.node`,
    `${ENGINE}/package.json`,
  ]);
});

test('the packages are those of a run, and nothing of a build is left', () => {
  interface Lock {
    readonly packages: Readonly<Record<string, { readonly dev?: boolean }>>;
  }
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as Lock;
  const packages = files().flatMap(
    (path) => /^(node_modules\/.*)\/package\.json$/.exec(path)?.[1] ?? [],
  );
  const listed = packages.filter((path) => path in lock.packages && path !== ENGINE);
  assert.ok(listed.length > 50, listed.join(' '));
  assert.deepEqual(
    listed.filter((path) => lock.packages[path]?.dev),
    [],
  );
  const tools =
    /\.([cm]?ts|map|gypi?|cc|h|py|sh|a|o)$|(^|\/)(\.npm|\.cache|\.bin|npm|typescript)\//;
  assert.deepEqual(
    files().filter((path) => tools.test(path)),
    [],
  );
});

test('everybody may read every file, and nobody write it', () => {
  for (const path of files()) {
    const mode = statSync(join(image.app, path)).mode & 0o777;
    assert.ok(mode === 0o644 || mode === 0o755, `${path}: ${mode.toString(8)}`);
  }
});

test('no library is needed that neither the image nor its base has', async () => {
  const ours = files().filter((path) => /\.(node|so(\.\d+)*)$/.test(path));
  assert.ok(ours.length >= 6, ours.join(' '));
  const own = new Set(ours.map((path) => path.split('/').at(-1)));
  const objects = [...ours.map((path) => join(image.app, path)), image.node];
  const { output } = await runProgram('ldd', objects);
  assert.doesNotMatch(output, /not found/);
  const needed = new Set([...output.matchAll(/^\s+(\S+\.so\S*) =>/gm)].map(([, name]) => name!));
  assert.ok(needed.size > BASE_LIBRARIES.length, output);
  const foreign = [...needed].filter((name) => {
    const base = /^lib(.+?)\.so/.exec(name)?.[1] ?? name;
    return !own.has(name) && !BASE_LIBRARIES.includes(base);
  });
  assert.deepEqual(foreign, []);
});

test('docs/images.md states the size that it has', () => {
  const said = /^\| CPU \| (\d+) MiB/m.exec(readFileSync(join(ROOT, 'docs/images.md'), 'utf8'));
  const is = /^ *([\d.]+) MiB {2}all$/m.exec(image.inventory);
  const [stated, found] = [Number(said?.[1]), Number(is?.[1])];
  assert.ok(Math.abs(stated - found) < 0.02 * found, `stated ${stated} MiB, is ${found} MiB`);
});

test('the container of these tests lets nothing be written but the volume', async () => {
  const script = `
    const { writeFileSync } = require('node:fs');
    const tried = process.argv.slice(1).map((path) => {
      try { writeFileSync(path, ''); return 'written'; } catch (error) { return error.code; }
    });
    console.log(process.pid, process.getuid(), tried.join(' '));`;
  const paths = ['here', '/tmp/there', join(image.app, 'package.json'), '/etc/passwd'];
  const contained = new ContainedProcess(volume, image.node, '-e', script, ...paths);
  started.push(contained);
  assert.equal(await contained.exit(), 0, contained.stderr);
  assert.equal(contained.stdout, `1 ${USER} written EROFS EROFS EROFS\n`);
});

test('a simulated teacher: health tells when it serves, SIGTERM ends it with 0', async () => {
  const teacher = startTeacher('simulate.enabled=true', 'drainMs=2000');
  const [, port] = await teacher.says(/"health":"[^"]*:(\d+)"/);
  await teacher.says(/teacher ready/);
  assert.equal(await healthOf(Number(port), ''), 'SERVING');
  const probe = () =>
    new ContainedProcess(volume, image.node, join(image.app, 'probe.mjs'), `127.0.0.1:${port}`);
  const whileUp = probe();
  assert.equal(await whileUp.exit(), 0, whileUp.stdout);
  teacher.signal('SIGTERM');
  assert.equal(await teacher.exit(), 0, teacher.stderr);
  const afterwards = probe();
  assert.equal(await afterwards.exit(), 1, afterwards.stdout);
});

test('a teacher with a network and a student that distils from it', async () => {
  const teacher = startTeacher(`checkpoint=${tinyTeacher(folder)}`, 'threads=1');
  const [, address] = await teacher.says(/"grpc":"([^"]+)"/);
  await teacher.says(/teacher ready/);
  const settings = [
    ...[`run.directory=${volume}`, 'run.id=contained', 'train.steps=2'],
    ...[`teacher.addresses=["${address}"]`, 'train.threads=1'],
  ];
  const student = start(
    ...['student', '--config', tinyStudent(folder)],
    ...settings.flatMap((text) => ['--set', text]),
  );
  assert.equal(await student.exit(), 0, student.stderr);
  const run = new TrainedRun(volume, 'contained');
  assert.deepEqual(
    run.steps().map(({ step }) => step),
    [1, 2],
  );
  for (const name of ['summary.json', 'report.html', 'report.png']) {
    assert.equal(statSync(join(run.path, name)).uid, USER, name);
  }
});

test('SIGTERM while the program still loads is not lost on process 1', async () => {
  const teacher = startTeacher('simulate.enabled=true');
  await eventually(() => teacher.hasBegun);
  // The first ones find no listener yet: node itself begins.
  await eventually(() => {
    if (teacher.exitCode === undefined) teacher.signal('SIGTERM');
    return teacher.exitCode !== undefined;
  });
  assert.equal(teacher.exitCode, 143, teacher.stderr);
  assert.doesNotMatch(teacher.stdout, /ready/);
});

test('cirkd doctor: TensorFlow runs', async () => {
  const doctor = start('doctor');
  assert.equal(await doctor.exit(), 0, doctor.stdout);
  assert.match(doctor.stdout, /^ok +TensorFlow runs +TensorFlow 2\.\d+/m);
});
