/** A server on a Unix socket: its file, who is in the way, its peers and limits. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Client,
  credentials,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import { isUnixAddress, unixPath } from '../../src/contract/unixAddress.js';
import { BindError } from '../../src/rpc/bindError.js';
import { RpcServer, type RpcServerOptions } from '../../src/rpc/server.js';
import { DIRECT } from '../support/connections/grpcProbes.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-unix-'));
const started: RpcServer[] = [];
afterEach(() => Promise.all(started.splice(0).map((server) => server.shutdown(0))));
after(() => rmSync(folder, { recursive: true }));

const text = (value: string) => Buffer.from(value);
const service: ServiceDefinition = {
  WhoAmI: {
    path: '/test.Test/WhoAmI',
    requestStream: false,
    responseStream: false,
    requestSerialize: text,
    requestDeserialize: String,
    responseSerialize: text,
    responseDeserialize: String,
  },
};

function newServer(options: Partial<RpcServerOptions> = {}): RpcServer {
  const server = new RpcServer({ host: '127.0.0.1', port: 0, maxReceiveBytes: 1000, ...options });
  server.addService(service, {
    WhoAmI: (call: ServerUnaryCall<string, string>, answer: sendUnaryData<string>) =>
      answer(null, call.getPeer()),
  });
  started.push(server);
  return server;
}

/** What the server calls a peer that connects to the address. */
function peerAt(address: string): Promise<string> {
  const client = new Client(address, credentials.createInsecure(), DIRECT);
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest('/test.Test/WhoAmI', text, String, 'hello', (error, value) => {
      client.close();
      if (error) reject(error);
      else resolve(String(value));
    });
  });
}

const pathOf = (name: string) => join(folder, name);
const socketOf = (name: string, mode = 0o600) => ({ address: `unix:${pathOf(name)}`, mode });

/** A socket file whose process was killed. */
async function leaveBehind(name: string): Promise<void> {
  const code = `require('net').createServer().listen(process.argv[1], () => console.log('listening'))`;
  const child = spawn(process.execPath, ['-e', code, pathOf(name)]);
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'close');
  assert.ok(lstatSync(pathOf(name)).isSocket());
}

test('a port and a socket beside each other; peers have names; the file goes with the server', async () => {
  const server = newServer();
  const port = await server.bind();
  const socket = socketOf('both');
  await server.bindSocket(socket);
  assert.match(await peerAt(`127.0.0.1:${port}`), /^127\.0\.0\.1:\d+$/);
  assert.equal(await peerAt(socket.address), `${socket.address}#1`);
  assert.equal(await peerAt(`unix://${pathOf('both')}`), `${socket.address}#2`);
  assert.equal(await server.shutdown(1000), 'drained');
  assert.ok(!existsSync(pathOf('both')));
});

test('a socket without a port', async () => {
  const server = newServer();
  const socket = socketOf('alone');
  await server.bindSocket(socket);
  assert.equal(await peerAt(socket.address), `${socket.address}#1`);
});

test('the file has its mode, whatever the umask, which stays', async () => {
  const before = process.umask(0o022);
  try {
    for (const mode of [0o600, 0o660, 0o666]) {
      const name = `mode-${mode.toString(8)}`;
      await newServer().bindSocket(socketOf(name, mode));
      assert.equal(lstatSync(pathOf(name)).mode & 0o777, mode);
      assert.equal(process.umask(), 0o022);
    }
  } finally {
    process.umask(before);
  }
});

test('the file of a killed process is replaced', async () => {
  await leaveBehind('stale');
  const socket = socketOf('stale');
  await newServer().bindSocket(socket);
  assert.equal(await peerAt(socket.address), `${socket.address}#1`);
});

test('several begin at once where a killed process was: one gets the path, and keeps it', async () => {
  await leaveBehind('contested');
  const socket = socketOf('contested');
  const outcomes = await Promise.allSettled(
    Array.from({ length: 8 }, () => newServer().bindSocket(socket)),
  );
  const refusals = outcomes.filter((outcome) => outcome.status === 'rejected');
  assert.equal(refusals.length, 7, JSON.stringify(outcomes));
  for (const { reason } of refusals) assert.ok(reason instanceof BindError, String(reason));
  // The others have asked whether it is there.
  assert.match(await peerAt(socket.address), /contested#\d$/);
});

test('the lock of a process that was killed with it delays nobody for long', async () => {
  const socket = socketOf('locked');
  const lock = `${pathOf('locked')}.lock`;
  writeFileSync(lock, '');
  let isThere = false;
  const bound = newServer()
    .bindSocket(socket)
    .then(() => {
      isThere = true;
    });
  await sleep(100);
  assert.ok(!isThere, 'a new lock is respected');
  const longAgo = Date.now() / 1000 - 60;
  utimesSync(lock, longAgo, longAgo);
  await bound;
  assert.ok(!existsSync(lock));
});

async function refusalOf(address: string): Promise<string> {
  const error = await newServer()
    .bindSocket({ address, mode: 0o600 })
    .then(
      () => assert.fail('listens'),
      (reason: Error) => reason,
    );
  assert.ok(error instanceof BindError, String(error));
  assert.equal(error.inUse, /another process/.test(error.message));
  assert.ok(error.message.startsWith(`cannot listen on ${address}: `), error.message);
  return error.message;
}

test('a living process, another file, a missing folder: refused, and nothing is changed', async () => {
  const taken = socketOf('taken');
  await newServer().bindSocket(taken);
  assert.match(await refusalOf(taken.address), /another process listens there$/);
  assert.match(await peerAt(taken.address), /^unix:.*taken#\d$/);

  writeFileSync(pathOf('notes'), 'mine');
  assert.match(await refusalOf(`unix:${pathOf('notes')}`), /there is a file that is not a socket$/);
  assert.equal(readFileSync(pathOf('notes'), 'utf8'), 'mine');

  assert.match(
    await refusalOf(`unix:${pathOf('none/socket')}`),
    /the folder \S+none does not exist$/,
  );
});

test('connections beyond the limit are closed at once, and told', async () => {
  let told = 0;
  const server = newServer({ maxConnections: 2, onConnectionsFull: () => told++ });
  const socket = socketOf('full');
  await server.bindSocket(socket);
  const open = () => connect({ path: pathOf('full') }).on('error', () => {});
  const closed = (one: Socket) => new Promise((resolve) => one.resume().once('close', resolve));
  const kept = [open(), open()];
  await Promise.all(kept.map((one) => once(one, 'connect')));
  await closed(open());
  assert.equal(told, 1);
  for (const one of kept) {
    one.destroy();
  }
  // Those that went made room.
  assert.match(await peerAt(socket.address), /#\d$/);
});

test('addresses: which are taken, and where the path lies', () => {
  assert.equal(unixPath('unix:/run/t.sock'), '/run/t.sock');
  assert.equal(unixPath('unix:///run/t.sock'), '/run/t.sock');
  assert.equal(unixPath('unix:t.sock'), 't.sock');
  assert.equal(unixPath(`unix:/${'é'.repeat(53)}`).length, 54);
  assert.throws(() => unixPath(`unix:/${'é'.repeat(54)}`), /a path of 109 bytes/);
  assert.throws(() => unixPath('unix-abstract:t'), /abstract socket/);
  for (const wrong of ['unix:', 'unix://host/t', 'unix:a b', 'unix:\0t', 't.sock', '/t.sock']) {
    assert.ok(!isUnixAddress(wrong), wrong);
  }
});
