/** Who a teacher server lets in, what strangers are told, and certificates that change meanwhile. */
import assert from 'node:assert/strict';
import { after, afterEach, type TestContext, test } from 'node:test';
import { GrpcStatus } from '../../src/rpc/errors.js';
import { openClientSecurity } from '../../src/rpc/security/clientSecurity.js';
import {
  openServerSecurity,
  type ServerSecurityOptions,
} from '../../src/rpc/security/serverSecurity.js';
import type { NamedFile } from '../../src/rpc/security/watchedFiles.js';
import type { ClientOptions } from '../../src/stream/client/options.js';
import type { RemoteTeacher } from '../../src/stream/client/remoteTeacher.js';
import { TEACHER_SERVICE_NAME } from '../../src/stream/codec/teacherService.js';
import { Authority, type Pem } from '../support/certificates/authority.js';
import { SecurityFolder } from '../support/certificates/folder.js';
import { healthOf } from '../support/connections/grpcProbes.js';
import { callCode, handshake, serialOf } from '../support/connections/rawCalls.js';
import { eventually } from '../support/eventually.js';
import { imageOf } from '../support/students/scriptedStudent.js';
import { GatedEngine } from '../support/teachers/gatedEngine.js';
import { student } from '../support/teachers/scriptedFleet.js';
import { closeTestServers, startTestServer } from '../support/teachers/teacherServer.js';

const TOKEN = 'a-token-of-some-length';
const folder = new SecurityFolder();
const servers = new Authority('servers');
const students = new Authority('students');
const ca = folder.write('servers.crt', servers.certificate);
const clientCa = folder.write('students.crt', students.certificate);
const token = folder.write('token', TOKEN);
const opened: { close(): void }[] = [];
let pairs = 0;
afterEach(async () => {
  await closeTestServers();
  for (const one of opened.splice(0)) one.close();
});
after(() => folder.remove());

const newPair = (pem: Pem) => folder.writePair(`pair-${++pairs}`, pem);

async function serve(
  options: Partial<ServerSecurityOptions> = {},
  pair = newPair(servers.issue()),
) {
  const refused: string[] = [];
  const problems: string[] = [];
  const expiries: Date[] = [];
  const security = await openServerSecurity({
    tls: { ...pair, clientCa },
    tokens: null,
    reloadEveryMs: 5,
    onRefused: ({ reason }) => refused.push(reason),
    onProblem: ({ message }) => problems.push(message),
    onCertificate: (expires) => expiries.push(expires),
    ...options,
  });
  opened.push(security);
  const engine = new GatedEngine(true);
  const server = await startTestServer(engine, {}, undefined, {}, { ...security, healthPort: 0 });
  return { ...server, engine, refused, problems, expiries };
}

/** A student with the given certificate and token. */
async function join(
  t: TestContext,
  port: number,
  pem: Pem | null,
  tokenFile: NamedFile | null = null,
  changes: Partial<ClientOptions> = {},
): Promise<RemoteTeacher> {
  const identity = pem === null ? null : newPair(pem);
  const security = await openClientSecurity({ tls: { ca, identity }, token: tokenFile });
  opened.push(security);
  const { teacher } = await student(t, [`localhost:${port}`], {
    credentials: () => security.credentials(),
    ...changes,
  });
  return teacher;
}

async function refusal(...args: Parameters<typeof join>): Promise<string> {
  const error = await join(...args).then(
    () => assert.fail('let in'),
    (reason: Error) => reason,
  );
  assert.match(error.name, /^(ContractMismatch|TeacherUnavailable)Error$/, String(error));
  return error.message;
}

test('a client certificate of the authority is accepted; a missing or foreign one is refused', async (t) => {
  const { port, refused, engine } = await serve();
  const inside = await join(t, port, students.issue());
  const wrong = [null, new Authority('strangers').issue(), servers.issue()];
  for (const [i, pem] of wrong.entries()) {
    const texts = await refusal(t, port, pem);
    assert.match(texts, /UNAUTHENTICATED: client certificate: none given, or it is not valid/);
    await inside.request(imageOf(i));
  }
  assert.equal(refused.length, wrong.length);
  assert.equal(engine.batches.length, wrong.length);
});

test('a client that trusts another authority of the same name gets no stream and a likely cause; others are undisturbed', async (t) => {
  const { port, engine } = await serve();
  const inside = await join(t, port, students.issue());
  const forged = new Authority('students').issue();
  let tried = false;
  const stranger = refusal(t, port, forged, null, { teacherTimeoutMs: 2000 }).finally(() => {
    tried = true;
  });
  let images = 0;
  while (!tried) await inside.request(imageOf(images++ % 200));
  // Node.js 20 hangs up on such a certificate by itself.
  assert.match(
    await stranger,
    /dropped the connection: .* certificate|client certificate: none given/,
  );
  // Asked once each: the stream was never lost.
  assert.equal(engine.batches.length, images);
});

test('the right token is accepted, a missing or wrong one refused, and no token is logged', async (t) => {
  const { port, refused } = await serve({
    tls: { ...newPair(servers.issue()), clientCa: null },
    tokens: token,
  });
  await (await join(t, port, null, token)).request(imageOf(1));
  const texts = [
    await refusal(t, port, null),
    await refusal(t, port, null, folder.write('other', `${TOKEN}.`)),
  ];
  assert.match(texts[0]!, /UNAUTHENTICATED: authorization: no bearer token given/);
  assert.match(texts[1]!, /UNAUTHENTICATED: authorization: bearer token not accepted/);
  assert.doesNotMatch([...texts, ...refused].join(), new RegExp(TOKEN));
});

test('after a token change the new one is accepted, the old one refused, and open streams stay', async (t) => {
  const file = folder.write('changing', TOKEN);
  const { port } = await serve({
    tls: { ...newPair(servers.issue()), clientCa: null },
    tokens: file,
  });
  const inside = await join(t, port, null, token);
  folder.write('changing', 'quite-another-token');
  const next = folder.write('next', 'quite-another-token');
  const letIn = () =>
    join(t, port, null, next).then(
      () => true,
      () => false,
    );
  await eventually(letIn);
  assert.match(await refusal(t, port, null, token), /bearer token not accepted/);
  await inside.request(imageOf(1));
});

test('health has a plaintext port of its own; the main port answers no unauthenticated call', async () => {
  const { port, healthPort, server } = await serve({ tokens: token });
  assert.equal(await healthOf(healthPort!, TEACHER_SERVICE_NAME), 'SERVING');
  assert.equal(await healthOf(healthPort!, ''), 'SERVING');
  assert.equal(await healthOf(port, ''), GrpcStatus.UNAVAILABLE);
  const health = '/grpc.health.v1.Health/Check';
  assert.equal(await callCode(await handshake(port, servers), health), 16);
  const reflection = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
  assert.equal(await callCode(await handshake(port, servers), reflection), 16);
  assert.equal(await callCode(healthPort!), 12);
  await server.drain(0);
  assert.equal(await healthOf(healthPort!, ''), GrpcStatus.UNAVAILABLE);
});

test('a new server certificate is used for new connections; open streams stay', async (t) => {
  const pair = newPair(servers.issue());
  const name = `pair-${pairs}`;
  const { port, problems, expiries, engine } = await serve({}, pair);
  const inside = await join(t, port, students.issue());
  await inside.request(imageOf(1));
  const expires = new Date(Math.ceil(Date.now() / 1000) * 1000 + 120_000);
  const next = servers.issue({ notAfter: expires });
  folder.write(`${name}.crt`, next.certificate);
  await eventually(() => problems.length > 0);
  const before = await handshake(port, servers, { pem: students.issue() });
  assert.notEqual(before.getPeerCertificate().serialNumber, serialOf(next));
  before.destroy();
  folder.write(`${name}.key`, next.key);
  await eventually(async () => {
    const socket = await handshake(port, servers, { pem: students.issue() });
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber === serialOf(next);
  });
  assert.deepEqual(expiries.at(-1), expires);
  await inside.request(imageOf(2));
  await (await join(t, port, students.issue())).request(imageOf(3));
  assert.deepEqual(engine.batches, [[1], [2], [3]]);
  assert.equal(problems.length, 1);
});
