import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { Client, credentials, Metadata, type ServiceDefinition } from '@grpc/grpc-js';
import { callObserver } from '../../src/rpc/callObserver.js';
import { GrpcStatus, grpcCodeName, RpcError, toCallStatus } from '../../src/rpc/errors.js';
import { duplexHandler, unaryHandler } from '../../src/rpc/handlers.js';
import { loadProto } from '../../src/rpc/loadProto.js';
import { BindError } from '../../src/rpc/bindError.js';
import { RpcServer } from '../../src/rpc/server.js';
import { DIRECT } from '../support/connections/grpcProbes.js';
import { RawConnection } from '../support/connections/rawCalls.js';

const text = (value: string) => Buffer.from(value);
const service: ServiceDefinition = {
  Echo: {
    path: '/test.Test/Echo',
    requestStream: false,
    responseStream: false,
    requestSerialize: text,
    requestDeserialize: String,
    responseSerialize: text,
    responseDeserialize: String,
  },
  Chat: {
    path: '/test.Test/Chat',
    requestStream: true,
    responseStream: true,
    requestSerialize: text,
    requestDeserialize: String,
    responseSerialize: text,
    responseDeserialize: String,
  },
};

interface Outcome {
  readonly code: number;
  readonly details: string;
}

function callEcho(port: number, message: string): Promise<Outcome> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), DIRECT);
  return new Promise((resolve) => {
    client.makeUnaryRequest('/test.Test/Echo', text, String, message, (error, value) => {
      client.close();
      resolve({ code: error?.code ?? GrpcStatus.OK, details: error?.details ?? String(value) });
    });
  });
}

async function echoServer(unexpected: unknown[], observed: unknown[] = []): Promise<RpcServer> {
  const hooks = {
    onStart: (method: string) => observed.push(['start', method]),
    onEnd: (method: string, code: number) => observed.push(['end', method, code]),
  };
  const server = new RpcServer({
    host: '127.0.0.1',
    port: 0,
    maxReceiveBytes: 1000,
    interceptors: [callObserver(hooks)],
  });
  server.addService(service, {
    Echo: unaryHandler<string, string>(
      async (request) => {
        if (request === 'rpc error') throw new RpcError(GrpcStatus.NOT_FOUND, 'size: 3 given');
        if (request === 'bug') throw new Error('/etc/secret is unreadable');
        return request;
      },
      (error) => unexpected.push(error),
    ),
    Chat: duplexHandler<string, string>(
      (call) =>
        new Promise((resolve, reject) => {
          call.on('data', (message: string) => {
            if (message === 'bug') reject(new TypeError('x is undefined'));
            else call.write(message);
          });
          call.on('end', resolve);
          call.on('cancelled', resolve);
        }),
      (error) => unexpected.push(error),
    ),
  });
  return server;
}

test('an unexpected error is sent as INTERNAL without its message', () => {
  const seen: unknown[] = [];
  const bug = new Error('password is 1234');
  const status = toCallStatus(bug, (error) => seen.push(error));
  assert.equal(status.code, GrpcStatus.INTERNAL);
  assert.doesNotMatch(status.details, /1234/);
  assert.deepEqual(seen, [bug]);
  const known = toCallStatus(new RpcError(GrpcStatus.ABORTED, 'told'), () => assert.fail());
  assert.deepEqual(known, { code: GrpcStatus.ABORTED, details: 'told' });
});

test('codes have names, unknown ones their number', () => {
  assert.equal(grpcCodeName(8), 'RESOURCE_EXHAUSTED');
  assert.equal(grpcCodeName(99), '99');
});

test('unary calls: the answer, the status of an RpcError, INTERNAL for bugs; the observer sees each', async () => {
  const unexpected: unknown[] = [];
  const observed: unknown[] = [];
  const server = await echoServer(unexpected, observed);
  const port = await server.bind();
  assert.deepEqual(await callEcho(port, 'hi'), { code: GrpcStatus.OK, details: 'hi' });
  assert.deepEqual(await callEcho(port, 'rpc error'), {
    code: GrpcStatus.NOT_FOUND,
    details: 'size: 3 given',
  });
  const bug = await callEcho(port, 'bug');
  assert.equal(bug.code, GrpcStatus.INTERNAL);
  assert.doesNotMatch(bug.details, /secret/);
  assert.equal(unexpected.length, 1);
  const tooLarge = await callEcho(port, 'x'.repeat(2000));
  assert.equal(tooLarge.code, GrpcStatus.RESOURCE_EXHAUSTED);
  await server.shutdown(1000);
  const method = '/test.Test/Echo';
  const ends = [GrpcStatus.OK, GrpcStatus.NOT_FOUND, GrpcStatus.INTERNAL, GrpcStatus.CANCELLED];
  assert.deepEqual(
    observed,
    ends.flatMap((code) => [
      ['start', method],
      ['end', method, code],
    ]),
  );
});

test('a duplex call ends with the status of the error that its handler threw', async () => {
  const unexpected: unknown[] = [];
  const server = await echoServer(unexpected);
  const port = await server.bind();
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), DIRECT);
  const call = client.makeBidiStreamRequest('/test.Test/Chat', text, String, new Metadata());
  const messages: string[] = [];
  call.on('data', (message: string) => messages.push(message));
  call.on('error', () => {});
  const status = new Promise<Outcome>((resolve) => call.once('status', resolve));
  call.write('one');
  call.write('bug');
  assert.equal((await status).code, GrpcStatus.INTERNAL);
  assert.deepEqual(messages, ['one']);
  assert.ok(unexpected[0] instanceof TypeError, String(unexpected[0]));
  client.close();
  await server.shutdown(1000);
});

test('a port in use is a BindError that names the address', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as { port: number };
  const server = new RpcServer({ host: '127.0.0.1', port, maxReceiveBytes: 1000 });
  await assert.rejects(server.bind(), (error) => {
    assert.ok(error instanceof BindError, String(error));
    assert.ok(error.inUse, String(error));
    assert.match(error.message, new RegExp(`cannot listen on 127.0.0.1:${port}: .*in use`));
    return true;
  });
  taken.close();
});

const hasIPv6 = Object.values(networkInterfaces())
  .flat()
  .some((one) => one?.address === '::1');

test('IPv6 hosts, with and without brackets', { skip: !hasIPv6 && 'no ::1 here' }, async () => {
  for (const host of ['::1', '[::1]', '::', '[::]']) {
    const server = new RpcServer({ host, port: 0, maxReceiveBytes: 1000 });
    const port = await server.bind();
    const client = new Client(`[::1]:${port}`, credentials.createInsecure(), DIRECT);
    const error = await new Promise<Outcome | null>((resolve) => {
      client.makeUnaryRequest('/nothing/Nothing', text, String, 'x', resolve);
    });
    assert.equal(error?.code, GrpcStatus.UNIMPLEMENTED, host);
    client.close();
    await server.shutdown(0);
  }
});

test('shutdown waits for running calls, then cuts them', async () => {
  const server = await echoServer([]);
  const port = await server.bind();
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), DIRECT);
  const call = client.makeBidiStreamRequest('/test.Test/Chat', text, String, new Metadata());
  call.on('error', () => {});
  const echoed = new Promise((resolve) => call.once('data', resolve));
  const status = new Promise<Outcome>((resolve) => call.once('status', resolve));
  call.write('running');
  await echoed;
  const started = performance.now();
  assert.equal(await server.shutdown(50), 'forced');
  assert.notEqual((await status).code, GrpcStatus.OK);
  // Without the cut the call would end with the keep-alive, after 30 s.
  const waitedMs = performance.now() - started;
  assert.ok(waitedMs < 10_000, `cut after ${waitedMs} ms`);
  client.close();
  const idle = await echoServer([]);
  await idle.bind();
  assert.equal(await idle.shutdown(10_000), 'drained');
});

test('a missing .proto file is named in the error', () => {
  assert.throws(() => loadProto('cirkd/none.proto'), /proto\/cirkd\/none\.proto: not found/);
});

test('connections beyond the limit are closed at once and reported; a closed connection makes room', async () => {
  let reports = 0;
  const server = new RpcServer({
    ...{ host: '127.0.0.1', port: 0, maxReceiveBytes: 1000, maxConnections: 2 },
    onConnectionsFull: () => reports++,
  });
  const port = await server.bind();
  const opened: Socket[] = [];
  const open = () => {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    opened.push(socket.resume());
    return socket;
  };
  const closed = (socket: Socket) => new Promise((resolve) => socket.once('close', resolve));
  const first = open();
  open();
  await Promise.all([closed(open()), closed(open())]);
  assert.equal(reports, 1);
  assert.deepEqual(
    opened.map(({ closed }) => closed),
    [false, false, true, true],
  );
  first.end();
  await closed(first);
  const connection = new RawConnection(port);
  assert.equal(await connection.callCode('/nothing'), GrpcStatus.UNIMPLEMENTED);
  connection.close();
  for (const socket of opened) socket.destroy();
  await server.shutdown(0);
});
