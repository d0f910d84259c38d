/** Unauthenticated clients: the calls and handshakes that a teacher refuses, and expiry and change of certificates. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, afterEach, test } from 'node:test';
import { refusalLog } from '../../services/teacher/refusalLog.js';
import { GrpcStatus } from '../../src/rpc/errors.js';
import { openClientSecurity } from '../../src/rpc/security/clientSecurity.js';
import {
  openServerSecurity,
  type ServerSecurityOptions,
} from '../../src/rpc/security/serverSecurity.js';
import { createLogger } from '../../src/telemetry/log.js';
import { Authority } from '../support/certificates/authority.js';
import { SecurityFolder } from '../support/certificates/folder.js';
import { callCode, handshake, RawConnection } from '../support/connections/rawCalls.js';
import { eventually } from '../support/eventually.js';
import { imageOf } from '../support/students/scriptedStudent.js';
import { GatedEngine } from '../support/teachers/gatedEngine.js';
import { student } from '../support/teachers/scriptedFleet.js';
import { closeTestServers, startTestServer } from '../support/teachers/teacherServer.js';

const folder = new SecurityFolder();
const servers = new Authority('servers');
const students = new Authority('students');
const opened: { close(): void }[] = [];
let files = 0;
afterEach(async () => {
  await closeTestServers();
  for (const one of opened.splice(0)) one.close();
});
after(() => folder.remove());

async function serve(changes: Partial<ServerSecurityOptions> = {}) {
  const name = `server-${++files}`;
  const clientCa = folder.write(`${name}-ca.crt`, students.certificate);
  const security = await openServerSecurity({
    tls: { ...folder.writePair(name, servers.issue()), clientCa },
    tokens: null,
    reloadEveryMs: 6,
    ...changes,
  });
  opened.push(security);
  const { port } = await startTestServer(new GatedEngine(true), {}, undefined, {}, security);
  return { port, clientCa };
}

const inMs = (ms: number) => new Date(Date.now() + ms);

test('an expired client certificate is refused by the server, whichever client presents it', async () => {
  const { port } = await serve();
  const good = await handshake(port, servers, { pem: students.issue() });
  assert.equal(await callCode(good), GrpcStatus.OK);
  const late = await handshake(port, servers, { pem: students.issue({ notAfter: inMs(-1000) }) });
  assert.equal(await callCode(late), GrpcStatus.UNAUTHENTICATED);
});

test('after a client certificate expires, its connection gets no new calls, and open streams continue', async (t) => {
  const { port } = await serve();
  // Certificates know whole seconds.
  const pem = students.issue({ notAfter: inMs(3000) });
  const security = await openClientSecurity({
    tls: {
      ca: folder.write('ca.crt', servers.certificate),
      identity: folder.writePair('late', pem),
    },
    token: null,
  });
  opened.push(security);
  const credentials = () => security.credentials();
  const { teacher } = await student(t, [`localhost:${port}`], { credentials });
  const connection = new RawConnection(await handshake(port, servers, { pem }));
  assert.equal(await connection.callCode(), GrpcStatus.OK);
  await eventually(async () => (await connection.callCode()) === GrpcStatus.UNAUTHENTICATED);
  await teacher.request(imageOf(1));
  connection.close();
});

test('no TLS session is resumed, so every handshake authenticates the client', async () => {
  const { port } = await serve();
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    let session: Buffer | undefined;
    const first = await handshake(port, servers, {
      ...{ pem: students.issue(), version },
      onSession: (resumable) => {
        session = resumable;
      },
    });
    assert.equal(await callCode(first), GrpcStatus.OK);
    const second = await handshake(port, servers, { session, version });
    assert.equal(second.isSessionReused(), false, version);
    assert.equal(await callCode(second), GrpcStatus.UNAUTHENTICATED);
  }
});

test('after the authority file changes, certificates of the new authority are accepted, those of the old one refused', async () => {
  const { port, clientCa } = await serve();
  const next = new Authority('students');
  folder.write(clientCa.key, next.certificate);
  const code = async (from: Authority) =>
    handshake(port, servers, { pem: from.issue() }).then(
      (socket) => callCode(socket).catch(() => -1),
      () => -1,
    );
  await eventually(async () => (await code(next)) === GrpcStatus.OK);
  assert.notEqual(await code(students), GrpcStatus.OK);
});

test('a connection without TLS, or with a stalled handshake, is closed', async () => {
  const { port } = await serve({ handshakeTimeoutMs: 100 });
  // The head of a record that promises a ClientHello.
  for (const word of ['', '\x16\x03\x01\x02\x00\x01']) {
    const socket = connect(port, '127.0.0.1');
    socket.write(Buffer.from(word, 'latin1'));
    await closed(socket);
  }
});

function closed(socket: Socket): Promise<void> {
  socket.resume().on('error', () => {});
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

test('refused calls do not flood the log: one line per reason, then one that counts the rest', async () => {
  const lines: string[] = [];
  const log = createLogger({
    ...{ service: 'teacher', level: 'info', format: 'json' },
    sink: { write: (line: string) => lines.push(line) },
  });
  const refuse = refusalLog(log, 50);
  for (let i = 0; i < 1000; i++) refuse({ peer: `10.0.0.1:${i}`, reason: 'one' });
  refuse({ peer: '10.0.0.2:1', reason: 'another' });
  await new Promise((resolve) => setTimeout(resolve, 60));
  refuse({ peer: '10.0.0.3:1', reason: 'one' });
  const logged = lines.map((line) => {
    const { peer, reason, suppressed } = JSON.parse(line);
    return [peer, reason, suppressed];
  });
  const counted = logged.reduce((sum, [, , suppressed]) => sum + 1 + suppressed, 0);
  assert.equal(counted, 1002);
  assert.deepEqual(logged[0], ['10.0.0.1:0', 'one', 0]);
  assert.ok(logged.length < 20, `${logged.length} lines`);
});
