/** grpc.health.v1: what a load balancer or an orchestrator asks before it sends traffic. */
import type { PackageDefinition } from '@grpc/proto-loader';
import { fromJSON } from '@grpc/proto-loader';
import { HealthImplementation } from 'grpc-health-check';
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

/**
 * Check and Watch for reflection. Not health.proto itself: its List has a map, whose entry protobufjs
 * describes by a name that Go's clients refuse, and then they refuse the whole file.
 */
export function healthPackageDefinition(): PackageDefinition {
  const [requestType, responseType] = ['HealthCheckRequest', 'HealthCheckResponse'];
  const v1 = {
    HealthCheckRequest: { fields: { service: { type: 'string', id: 1 } } },
    HealthCheckResponse: {
      fields: { status: { type: 'ServingStatus', id: 1 } },
      nested: {
        ServingStatus: { values: { UNKNOWN: 0, SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } },
      },
    },
    Health: {
      methods: {
        Check: { requestType, responseType, comment: '' },
        Watch: { requestType, responseType, responseStream: true, comment: '' },
      },
    },
  };
  return fromJSON({ nested: { grpc: { nested: { health: { nested: { v1: { nested: v1 } } } } } } });
}
