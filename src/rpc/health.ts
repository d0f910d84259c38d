/** grpc.health.v1: what a load balancer or an orchestrator asks before it sends traffic. */
import type { PackageDefinition } from '@grpc/proto-loader';
import { loadSync } from '@grpc/proto-loader';
import { HealthImplementation, protoPath } from 'grpc-health-check';
import type { RpcServer } from './server.js';

/** One status for the whole server ('') and for each named service; NOT_SERVING at the start. */
export class Health {
  readonly #services: readonly string[];
  readonly #implementation: HealthImplementation;

  constructor(services: readonly string[]) {
    this.#services = ['', ...services];
    this.#implementation = new HealthImplementation(
      Object.fromEntries(this.#services.map((name) => [name, 'NOT_SERVING'] as const)),
    );
  }

  addTo(server: RpcServer): void {
    this.#implementation.addToServer(server.raw);
  }

  setServing(serving: boolean): void {
    for (const name of this.#services) {
      this.#implementation.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
    }
  }
}

/** The health service's own definition, so that reflection can list it. */
export function healthPackageDefinition(): PackageDefinition {
  return loadSync(protoPath);
}
