/** What probes and tools ask a gRPC server, over the wire. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import {
  Client,
  credentials,
  loadPackageDefinition,
  type MethodDefinition,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';

/** grpc-js would take the machine's proxy for 127.0.0.1 too. */
export const DIRECT = { 'grpc.enable_http_proxy': 0 } as const;

/** The status that grpc.health.v1 gives for a service, or the code of the error. */
export function healthOf(port: number, service: string): Promise<string | number> {
  const { path, requestSerialize, responseDeserialize } = method(
    protoPath,
    'grpc.health.v1.Health',
    'Check',
  );
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), DIRECT);
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      { service },
      (error, answer) => {
        client.close();
        resolve(error ? error.code : (answer as { status: string }).status);
      },
    );
  });
}

export interface Watched {
  /** Statuses, in order. */
  readonly seen: string[];
  ended: boolean;
  cancel(): void;
}

/** Watches over one connection. */
export class HealthClient {
  readonly #client: Client;
  readonly #method = method(protoPath, 'grpc.health.v1.Health', 'Watch');

  constructor(port: number) {
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), DIRECT);
  }

  watch(service: string): Watched {
    const { path, requestSerialize, responseDeserialize } = this.#method;
    const call = this.#client.makeServerStreamRequest(
      ...([path, requestSerialize, responseDeserialize, { service }] as const),
    );
    const watched: Watched = { seen: [], ended: false, cancel: () => call.cancel() };
    call.on('data', ({ status }: { status: string }) => watched.seen.push(status));
    call.on('error', () => {});
    call.on('end', () => {
      watched.ended = true;
    });
    return watched;
  }

  close(): void {
    this.#client.close();
  }
}

/** Names of the services that server reflection (v1) lists. */
export function listedServices(port: number): Promise<string[]> {
  const reflection = createRequire(import.meta.url).resolve('@grpc/reflection/package.json');
  const { path, requestSerialize, responseDeserialize } = method(
    join(dirname(reflection), 'build/proto/grpc/reflection/v1/reflection.proto'),
    'grpc.reflection.v1.ServerReflection',
    'ServerReflectionInfo',
  );
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), DIRECT);
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  return new Promise((resolve, reject) => {
    call.once('error', reject);
    call.once('data', (answer: { listServicesResponse: { service: { name: string }[] } }) => {
      call.end();
      client.close();
      resolve(answer.listServicesResponse.service.map(({ name }) => name));
    });
    call.write({ listServices: '' });
  });
}

function method(file: string, service: string, name: string): MethodDefinition<unknown, unknown> {
  const tree: unknown = loadPackageDefinition(loadSync(file, { enums: String, oneofs: true }));
  const found = service
    .split('.')
    .reduce((at, key) => (at as Record<string, unknown>)[key], tree) as ServiceClientConstructor;
  return found.service[name] as MethodDefinition<unknown, unknown>;
}
