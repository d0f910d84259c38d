/** gRPC's usual tools, real ones, see the teacher: through reflection and health, with and without TLS. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runProgram } from '../../services/setup/subprocess.mjs';
import { TEACHER_SERVICE_NAME } from '../../src/stream/codec/teacherService.js';
import { Authority } from '../support/certificates/authority.js';
import { SecurityFolder } from '../support/certificates/folder.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';
import { GRPC_HEALTH_PROBE, GRPCURL } from '../support/tools/goModules.js';
import { goPrograms } from '../support/tools/goProgram.js';

const TOKEN = 'the-token-of-this-test';
/** Of grpc_health_probe: the server answered, and not SERVING; it could not be asked. */
const PROBE_EXIT = { rpcFailed: 3, unreachable: 2 } as const;

const folder = new SecurityFolder();
const authority = new Authority();
const teachers: TeacherProcess[] = [];
let grpcurl: string;
let probe: string;
/** Ports. */
let plain: number;
let secure: number;
let health: number;

const file = (name: string) => join(folder.path, name);

async function teacher(...settings: string[]): Promise<{ grpcPort: number; stderr: string }> {
  const simulated = [
    ...['simulate.enabled=true', 'simulate.classes=3', 'simulate.featureChannels=8'],
    'simulate.latencyMs=1',
  ];
  const flags = [...simulated, ...settings].flatMap((one) => ['--set', one]);
  const started = new TeacherProcess(...flags);
  teachers.push(started);
  await started.ready();
  return { ...(await started.listening()), stderr: started.stderr };
}

before(async () => {
  grpcurl = join(await goPrograms(GRPCURL), 'grpcurl');
  probe = join(await goPrograms(GRPC_HEALTH_PROBE), 'grpc-health-probe');
  folder.write('ca.crt', authority.certificate);
  folder.write('token', `${TOKEN}\n`);
  folder.writePair('server', authority.issue());
  folder.writePair('client', authority.issue({ names: ['a student'] }));
  plain = (await teacher()).grpcPort;
  const guarded = await teacher(
    'listen.healthPort=0',
    `listen.tokenFile=${file('token')}`,
    `listen.tls.certificate=${file('server.crt')}`,
    `listen.tls.key=${file('server.key')}`,
    `listen.tls.clientCa=${file('ca.crt')}`,
  );
  secure = guarded.grpcPort;
  health = Number(/"health":"[^"]*:(\d+)"/.exec(guarded.stderr)?.[1]);
});
after(() => {
  for (const each of teachers) each.kill();
  folder.remove();
});

const plainFlags = ['-plaintext'];
const clientFlags = [
  '-cacert',
  file('ca.crt'),
  '-cert',
  file('client.crt'),
  '-key',
  file('client.key'),
];
const secureFlags = [...clientFlags, '-H', `authorization: Bearer ${TOKEN}`];

async function grpcurlSays(flags: readonly string[], ...args: string[]): Promise<string> {
  const { code, output } = await runProgram(grpcurl, [...flags, ...args]);
  assert.equal(code, 0, output);
  return output;
}

/** The same questions of both ports. */
async function assertListsAndCalls(flags: readonly string[], address: string): Promise<void> {
  const services = (await grpcurlSays(flags, address, 'list')).trim().split('\n');
  assert.ok(services.includes(TEACHER_SERVICE_NAME), services.join());
  assert.ok(services.includes('grpc.health.v1.Health'), services.join());
  const methods = await grpcurlSays(flags, address, 'list', TEACHER_SERVICE_NAME);
  assert.deepEqual(
    methods.trim().split('\n').sort(),
    ['Distill', 'GetTeacher'].map((method) => `${TEACHER_SERVICE_NAME}.${method}`),
  );
  const described = await grpcurlSays(flags, address, 'describe', 'cirkd.teacher.v1.Image');
  assert.match(described, /uint64 id = 1;/);
  const answer = await grpcurlSays(flags, address, `${TEACHER_SERVICE_NAME}/GetTeacher`);
  assert.equal(JSON.parse(answer).teacher.featureChannels, 8, answer);
  const health = await grpcurlSays(flags, address, 'grpc.health.v1.Health/Check');
  assert.deepEqual(JSON.parse(health), { status: 'SERVING' });
}

test('grpcurl lists, describes and calls the teacher through reflection', async () => {
  await assertListsAndCalls(plainFlags, `127.0.0.1:${plain}`);
});

test('grpcurl over mutual TLS with a token', async () => {
  await assertListsAndCalls(secureFlags, `localhost:${secure}`);
});

test('without token or certificate grpcurl is refused, and told why', async () => {
  const strangers: [string[], RegExp][] = [
    [clientFlags, /authorization: no bearer token given/],
    [
      [...clientFlags, '-H', 'authorization: Bearer not-the-token-at-all'],
      /bearer token not accepted/,
    ],
    [
      ['-cacert', file('ca.crt'), '-H', `authorization: Bearer ${TOKEN}`],
      /client certificate: none given/,
    ],
  ];
  for (const [flags, reason] of strangers) {
    const args = [...flags, `localhost:${secure}`, `${TEACHER_SERVICE_NAME}/GetTeacher`];
    const { code, output } = await runProgram(grpcurl, args);
    assert.notEqual(code, 0, output);
    assert.match(output, reason);
  }
});

test('a hello as JSON on the stream is answered with the welcome', async () => {
  const hello = {
    protocolVersion: 1,
    runId: 'by-hand',
    outputs: [{ output: 'OUTPUT_LOGITS', encoding: 'ENCODING_FP32' }],
    creditBytes: 1_048_576,
  };
  const call = ['-d', JSON.stringify({ hello }), `127.0.0.1:${plain}`];
  const answer = await grpcurlSays(plainFlags, ...call, `${TEACHER_SERVICE_NAME}/Distill`);
  const { welcome } = JSON.parse(answer);
  assert.match(welcome.teacher.digest, /^sha256:[0-9a-f]{64}$/);
  assert.equal(welcome.teacher.classes, 3, answer);
});

test('grpc_health_probe sees the teacher: in plaintext, over mutual TLS, on the health port', async () => {
  const tls = [
    ...['-tls', '-tls-ca-cert', file('ca.crt'), '-tls-server-name', 'localhost'],
    ...['-tls-client-cert', file('client.crt'), '-tls-client-key', file('client.key')],
    ...['-rpc-header', `authorization: Bearer ${TOKEN}`],
  ];
  const healthy = [
    [`-addr=127.0.0.1:${plain}`],
    [`-addr=127.0.0.1:${plain}`, `-service=${TEACHER_SERVICE_NAME}`],
    [`-addr=127.0.0.1:${health}`],
    [`-addr=127.0.0.1:${secure}`, ...tls],
  ];
  for (const args of healthy) {
    const { code, output } = await runProgram(probe, args);
    assert.equal(code, 0, `${args.join(' ')}: ${output}`);
    assert.match(output, /status: SERVING/);
  }
  const unhealthy: [string[], number][] = [
    [[`-addr=127.0.0.1:${plain}`, '-service=no.such.Service'], PROBE_EXIT.rpcFailed],
    [[`-addr=127.0.0.1:${secure}`, ...tls.slice(0, 5)], PROBE_EXIT.rpcFailed],
    [[`-addr=127.0.0.1:${secure}`, '-connect-timeout=2s'], PROBE_EXIT.unreachable],
  ];
  for (const [args, exit] of unhealthy) {
    const { code, output } = await runProgram(probe, args);
    assert.equal(code, exit, `${args.join(' ')}: ${output}`);
  }
});
