/** Server reflection: tools such as grpcurl can list and call services without the .proto. */
import type { PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import type { RpcServer } from './server.js';

/** Lists every service of the given definitions. */
export function addReflection(server: RpcServer, ...packages: readonly PackageDefinition[]): void {
  const merged: PackageDefinition = Object.assign({}, ...packages);
  new ReflectionService(merged).addToServer(server.raw);
}
