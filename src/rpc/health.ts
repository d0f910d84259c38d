/**
 * grpc.health.v1, which load balancers and orchestrators query before they send traffic. Only the
 * .proto comes from grpc-health-check: its service remembers every name that was ever watched.
 */
import type {
  sendUnaryData,
  ServerUnaryCall,
  ServerWritableStream,
  ServiceDefinition,
} from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import { fromJSON, loadSync } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';
import { GrpcStatus } from './errors.js';
import type { RpcServer } from './server.js';

interface HealthCheckRequest {
  readonly service: string;
}
interface HealthCheckResponse {
  readonly status: 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';
}
type Watch = ServerWritableStream<HealthCheckRequest, HealthCheckResponse>;

/** One status for the whole server ('') and for each named service; NOT_SERVING at the start. */
export class Health {
  readonly #services: ReadonlySet<string>;
  readonly #watches = new Set<Watch>();
  #status: HealthCheckResponse['status'] = 'NOT_SERVING';

  constructor(services: readonly string[]) {
    this.#services = new Set(['', ...services]);
  }

  addTo(server: RpcServer): void {
    server.addService(healthDefinition(), {
      check: (
        call: ServerUnaryCall<HealthCheckRequest, HealthCheckResponse>,
        callback: sendUnaryData<HealthCheckResponse>,
      ) => this.#check(call.request, callback),
      watch: (call: Watch) => this.#watch(call),
      list: (
        _call: unknown,
        callback: sendUnaryData<{ statuses: Record<string, HealthCheckResponse> }>,
      ) => callback(null, { statuses: this.#list() }),
    });
  }

  setServing(serving: boolean): void {
    const status = serving ? 'SERVING' : 'NOT_SERVING';
    if (status === this.#status) return;
    this.#status = status;
    for (const watch of this.#watches) watch.write({ status });
  }

  #check({ service }: HealthCheckRequest, callback: sendUnaryData<HealthCheckResponse>): void {
    if (this.#services.has(service)) callback(null, { status: this.#status });
    else callback({ code: GrpcStatus.NOT_FOUND, details: 'service: unknown to this server' });
  }

  /** An unknown name never becomes known, but the contract requires its watch to stay open. */
  #watch(call: Watch): void {
    if (!this.#services.has(call.request.service)) {
      call.write({ status: 'SERVICE_UNKNOWN' });
      return;
    }
    this.#watches.add(call);
    call.once('cancelled', () => this.#watches.delete(call));
    call.write({ status: this.#status });
  }

  #list(): Record<string, HealthCheckResponse> {
    return Object.fromEntries([...this.#services].map((name) => [name, { status: this.#status }]));
  }
}

function healthDefinition(): ServiceDefinition {
  // Probes of the whole server send no name at all, which has to be decoded as ''.
  const options = { enums: String, defaults: true };
  const { 'grpc.health.v1.Health': service } = loadSync(protoPath, options);
  return service as ServiceDefinition;
}

/**
 * Check and Watch for reflection. health.proto itself doesn't work: protobufjs gives the entry of the
 * map in List a name that Go's clients refuse, and the whole file with it.
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
