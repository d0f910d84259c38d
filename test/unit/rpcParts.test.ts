import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, credentials, type ServiceDefinition } from '@grpc/grpc-js';
import { GrpcStatus } from '../../src/rpc/errors.js';
import { asSerialized } from '../../src/rpc/grpcInternals.js';
import { duplexHandler, unaryHandler } from '../../src/rpc/handlers.js';
import { PartedMessage } from '../../src/rpc/calls/partedMessage.js';
import { RpcServer } from '../../src/rpc/server.js';
import { DIRECT } from '../support/connections/grpcProbes.js';

type Answer = readonly Uint8Array[] | 'plain' | 'broken';

const asIs = (bytes: Buffer) => bytes;
const serialize = (answer: Answer): Buffer => {
  if (answer === 'plain') return Buffer.from('plain');
  if (answer === 'broken') throw new Error('/etc/secret is unreadable');
  const [head = Buffer.alloc(0), ...parts] = answer;
  return asSerialized(new PartedMessage(head, parts));
};
const method = {
  requestSerialize: asIs,
  requestDeserialize: String,
  responseSerialize: serialize,
  responseDeserialize: asIs,
};
const service: ServiceDefinition = {
  One: { path: '/test.Parts/One', requestStream: false, responseStream: false, ...method },
  Many: { path: '/test.Parts/Many', requestStream: true, responseStream: true, ...method },
};

const filled = (bytes: number, value: number) => new Uint8Array(bytes).fill(value);
const answers: Record<string, Answer> = {
  plain: 'plain',
  broken: 'broken',
  empty: [],
  'only a head': [filled(7, 1)],
  'an empty part': [filled(7, 1), filled(0, 0), filled(3, 2)],
  'empty parts alone': [filled(0, 0), filled(0, 0)],
  'beyond the windows of HTTP/2': [
    filled(9, 1),
    filled(3_000_000, 2),
    filled(5, 3),
    filled(70_000, 4),
  ],
};
/** 4 GiB in parts that are all the same MiB. */
const tooLong: Answer = Array<Uint8Array>(4096).fill(filled(2 ** 20, 1));
const expected = (answer: Answer) =>
  answer === 'plain' ? Buffer.from('plain') : Buffer.concat(answer as Uint8Array[]);

async function partsServer(): Promise<{ readonly server: RpcServer; readonly client: Client }> {
  const server = new RpcServer({ host: '127.0.0.1', port: 0, maxReceiveBytes: 1000 });
  const unexpected = (error: unknown) => assert.fail(`unexpected: ${error}`);
  server.addService(service, {
    One: unaryHandler<string, Answer>(
      async (name) => (name === 'too long' ? tooLong : answers[name]!),
      unexpected,
    ),
    Many: duplexHandler<string, Answer>(
      (call) =>
        new Promise((resolve) => {
          // All at once: what waits behind a message of many frames must keep its place.
          call.on('data', (names: string) => {
            for (const name of names.split(',')) call.write(answers[name]!);
          });
          call.on('end', resolve);
        }),
      unexpected,
    ),
  });
  const port = await server.bind();
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    ...DIRECT,
    'grpc.max_receive_message_length': -1,
  });
  return { server, client };
}

test('a call gets all the bytes of a message in parts, whatever the parts are', async (t) => {
  const { server, client } = await partsServer();
  t.after(async () => {
    client.close();
    await server.shutdown(1000);
  });
  for (const [name, answer] of Object.entries(answers)) {
    const found = await new Promise<Buffer | number>((resolve) => {
      client.makeUnaryRequest('/test.Parts/One', asIs, asIs, Buffer.from(name), (error, value) =>
        resolve(error?.code ?? value!),
      );
    });
    if (answer === 'broken') assert.equal(found, GrpcStatus.INTERNAL);
    else assert.ok(expected(answer).equals(found as Buffer), `${name}: other bytes`);
  }
});

test('a message of 4 GiB, whose length no frame can state, ends its call alone', async (t) => {
  const { server, client } = await partsServer();
  t.after(async () => {
    client.close();
    await server.shutdown(1000);
  });
  const codeOf = (name: string) =>
    new Promise((resolve) => {
      client.makeUnaryRequest(
        '/test.Parts/One',
        asIs,
        asIs,
        Buffer.from(name),
        { deadline: Date.now() + 10_000 },
        (error) => resolve(error?.code ?? GrpcStatus.OK),
      );
    });
  assert.equal(await codeOf('too long'), GrpcStatus.INTERNAL);
  assert.equal(await codeOf('plain'), GrpcStatus.OK);
});

test('messages in parts and whole ones keep their order on a stream', async (t) => {
  const { server, client } = await partsServer();
  t.after(async () => {
    client.close();
    await server.shutdown(1000);
  });
  const names = Object.keys(answers).filter((name) => name !== 'broken');
  const order = [...names, ...names.toReversed()];
  const call = client.makeBidiStreamRequest('/test.Parts/Many', asIs, asIs);
  call.write(Buffer.from(order.join(',')));
  call.end();
  const received: Buffer[] = [];
  for await (const message of call) received.push(message as Buffer);
  assert.equal(received.length, order.length);
  for (const [index, name] of order.entries()) {
    assert.ok(expected(answers[name]!).equals(received[index]!), `${index}, ${name}: other bytes`);
  }
});

test('an answer that cannot be serialised ends its stream, without the reason', async (t) => {
  const { server, client } = await partsServer();
  t.after(async () => {
    client.close();
    await server.shutdown(1000);
  });
  const call = client.makeBidiStreamRequest('/test.Parts/Many', asIs, asIs);
  call.write(Buffer.from('plain,broken'));
  const received: unknown[] = [];
  call.on('data', (message) => received.push(message));
  const { code, details } = await new Promise<{ code: number; details: string }>((resolve) => {
    call.on('error', () => {});
    call.on('status', resolve);
  });
  assert.equal(code, GrpcStatus.INTERNAL);
  assert.doesNotMatch(details, /secret/);
  assert.equal(received.length, 1);
});
