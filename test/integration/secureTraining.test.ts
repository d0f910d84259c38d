/** Real processes: a student trains over mutual TLS with a token, strangers learn why they can't. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { connect } from 'node:tls';
import sharp from 'sharp';
import { GrpcStatus } from '../../src/rpc/errors.js';
import { Authority, type Pem } from '../support/certificates/authority.js';
import { SecurityFolder } from '../support/certificates/folder.js';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { CliSession } from '../support/commands/cliSession.js';
import { eventually } from '../support/eventually.js';
import { healthOf } from '../support/connections/grpcProbes.js';
import { callCode, handshake } from '../support/connections/rawCalls.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';
import { tinyStudent, tinyTeacher } from '../support/training/tinyRun.js';

const TOKEN = 'only-known-to-these-two';
const folder = new SecurityFolder();
const authority = new Authority();
const processes: { kill(): void }[] = [];
const session = new CliSession();
let config: string;
let teacher: TeacherProcess;
let address: string;

/** Flags for YAML values that are texts. */
function set(values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
}

function student(id: string, changes: Readonly<Record<string, string>> = {}): CirkdProcess {
  const pair = folder.writePair(`student-${id}`, authority.issue({ names: [id] }));
  const process = new CirkdProcess(
    ...['student', '--config', config],
    ...set({
      'run.id': id,
      'teacher.addresses': `[${JSON.stringify(address)}]`,
      'teacher.tls.ca': `${folder.path}/ca.crt`,
      'teacher.tls.certificate': pair.certificate.path,
      'teacher.tls.key': pair.key.path,
      'teacher.tokenFile': `${folder.path}/token`,
      'teacher.teacherTimeoutMs': '20000',
      'train.steps': '3',
      'evaluate.pictures': '0',
      ...changes,
    }),
  );
  processes.push(process);
  return process;
}

/** The serial number of what the teacher shows now. */
function shownSerial(): Promise<string> {
  const [host, port] = address.split(':');
  const socket = connect({ host: host!, port: Number(port), rejectUnauthorized: false });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
  });
}

async function expiry(metricsUrl: string): Promise<number> {
  const text = await (await fetch(metricsUrl)).text();
  return Number(/^cirkd_tls_certificate_expiry_timestamp_seconds (\S+)$/m.exec(text)?.[1]);
}

const expiresOf = ({ certificate }: Pem) => Date.parse(new X509Certificate(certificate).validTo);

before(async () => {
  config = tinyStudent(folder.path);
  const model = tinyTeacher(folder.path);
  folder.write('ca.crt', authority.certificate);
  folder.write('token', `${TOKEN}\n`);
  folder.write('strange-ca.crt', new Authority('strangers').certificate);
  folder.write('strange.token', 'known-to-somebody-else');
  folder.writePair('server', authority.issue());
  teacher = new TeacherProcess(
    ...['--checkpoint', model],
    ...set({
      threads: '2',
      'listen.healthPort': '0',
      'listen.tokenFile': `${folder.path}/token`,
      'listen.tls.certificate': `${folder.path}/server.crt`,
      'listen.tls.key': `${folder.path}/server.key`,
      'listen.tls.clientCa': `${folder.path}/ca.crt`,
    }),
  );
  await teacher.ready();
  address = `localhost:${(await teacher.listening()).grpcPort}`;
});
afterEach(() => {
  for (const process of processes.splice(0)) process.kill();
});
after(() => {
  session.close();
  teacher.kill();
  folder.remove();
});

test('a run over mutual TLS with a token survives a certificate change; unauthenticated clients are refused', async () => {
  const [, healthPort] = /"health":"[^"]*:(\d+)"/.exec(teacher.stderr) ?? [];
  assert.equal(await healthOf(Number(healthPort), ''), 'SERVING');
  const run = student('trained', { 'train.steps': '200', 'metrics.lingerMs': '0' });
  await run.says(/"msg":"training"/);
  const next = authority.issue({ notAfter: new Date(Date.now() + 1_800_000) });
  folder.writePair('server', next);
  const replacedAt = performance.now();
  await eventually(
    async () => (await shownSerial()) === new X509Certificate(next.certificate).serialNumber,
  );
  assert.ok(performance.now() - replacedAt < 10_000, `${performance.now() - replacedAt} ms`);
  const { metricsUrl } = await teacher.listening();
  assert.equal((await expiry(metricsUrl)) * 1000, expiresOf(next));
  const [, url] = await run.says(/"url":"([^"]+)"/);
  assert.ok((await expiry(url!)) * 1000 > Date.now(), 'the student has an expiry, too');
  run.signal('SIGTERM');
  assert.equal(await run.exit(), 143, run.stderr);
  // One welcome, nothing requested again: the stream outlived the certificate that it began with.
  assert.equal(run.stderr.match(/"state":"ready"/g)?.length, 1, run.stderr);
  assert.doesNotMatch(run.stderr, /image requested again/);
  for (const output of [run.stderr, teacher.stderr]) {
    assert.doesNotMatch(output, new RegExp(`${TOKEN}|PRIVATE KEY`));
  }
});

test('an unknown authority, a missing certificate, another name, another token: exit code 4 and the reason', async () => {
  const strange: [string, Readonly<Record<string, string>>, RegExp][] = [
    [
      'strange',
      { 'teacher.tls.ca': `${folder.path}/strange-ca.crt` },
      /is not signed by a trusted authority/,
    ],
    [
      'wrong-none',
      { 'teacher.tls.certificate': 'null', 'teacher.tls.key': 'null' },
      /UNAUTHENTICATED: client certificate: none given/,
    ],
    [
      'wrong-name',
      { 'teacher.tls.serverName': 'elsewhere.example' },
      /TLS: wrong name: .*elsewhere\.example/,
    ],
    [
      'wrong-token',
      { 'teacher.tokenFile': `${folder.path}/strange.token` },
      /UNAUTHENTICATED: authorization: bearer token not accepted/,
    ],
  ];
  for (const [id, changes, reason] of strange) {
    const run = student(id, changes);
    assert.equal(await run.exit(), 4, run.stderr);
    assert.match(run.stderr, reason);
  }
  await eventually(() =>
    /"reason":"authorization: bearer token not accepted"/.test(teacher.stderr),
  );
  const { port } = new URL(`tcp://${address}`);
  for (const [pem, code] of [
    [authority.issue({ notAfter: new Date(Date.now() - 1000) }), GrpcStatus.UNAUTHENTICATED],
    // A certificate isn't enough.
    [authority.issue(), GrpcStatus.UNAUTHENTICATED],
  ] as const) {
    assert.equal(await callCode(await handshake(Number(port), authority, { pem })), code);
  }
  // The log comes by a way of its own.
  await eventually(() => /"reason":"authorization: no bearer token given"/.test(teacher.stderr));
  const run = student('welcome');
  assert.equal(await run.exit(), 0, run.stderr);
});

test('evaluate and predict authenticate by flags; without them the error says why they are refused', async () => {
  const pair = folder.writePair('tool', authority.issue({ names: ['tool'] }));
  const shown = [
    ...['--teacher', address, '--teacher-ca', `${folder.path}/ca.crt`],
    ...['--teacher-certificate', pair.certificate.path, '--teacher-key', pair.key.path],
    ...['--teacher-token-file', `${folder.path}/token`],
  ];
  const data = ['--data', 'synthetic', '--samples', '1', '--height', '48', '--width', '96'];
  const scores = await session.run('evaluate', ...shown, ...data, '--json');
  assert.equal(scores.code, 0, scores.stderr);
  assert.equal(JSON.parse(scores.stdout).dataset, 'synthetic/val');
  const image = join(folder.path, 'grey.png');
  const create = { width: 64, height: 48, channels: 3, background: '#888' } as const;
  await sharp({ create }).png().toFile(image);
  const pictures = join(folder.path, 'pictures');
  const predicted = await session.run('predict', ...shown, '--out', pictures, image);
  assert.equal(predicted.code, 0, predicted.stderr);
  assert.deepEqual(readdirSync(pictures).sort(), ['grey-classes.png', 'grey-overlay.png']);
  const wrong: [string[], number, RegExp][] = [
    [['--teacher-name', 'elsewhere.example'], 4, /TLS: wrong name: .*elsewhere\.example/],
    [['--teacher-token-file', `${folder.path}/strange.token`], 4, /bearer token not accepted/],
    [['--teacher-ca', `${folder.path}/strange-ca.crt`], 4, /not signed by a trusted authority/],
    [
      ['--teacher-ca', `${folder.path}/absent.crt`],
      2,
      /--teacher-ca: .*absent\.crt: can't be read/,
    ],
    [
      ['--teacher-key', `${folder.path}/server.key`],
      2,
      /--teacher-key: .*not the key of .*tool\.crt/,
    ],
  ];
  for (const [flags, code, pattern] of wrong) {
    // The last one of a name counts.
    const end = await session.run('evaluate', ...shown, ...data, ...flags);
    assert.equal(end.code, code, end.stderr);
    assert.match(end.stderr, pattern);
    assert.doesNotMatch(end.stderr, new RegExp(TOKEN));
  }
});

test('unusable security files: exit code 2 with the key of the config', async () => {
  const run = student('broken', { 'teacher.tls.key': `${folder.path}/server.key` });
  assert.equal(await run.exit(), 2, run.stderr);
  assert.match(run.stderr, /teacher\.tls\.key: .*server\.key: not the key of .*broken\.crt/);
});
