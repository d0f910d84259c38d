/** What a further gRPC service on a teacher's port is to the server: it shares port, queue and limits. */
import type {
  ServerInterceptor,
  ServiceDefinition,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import type { Serving } from './imageRequests.js';
import type { BatchReport } from './serving.js';

/**
 * The server calls `serve` once, when the network is loaded, `drain` once, possibly before it, and
 * `stop` last.
 */
export interface HostedService {
  /** The full name, for health checks. */
  readonly name: string;
  /** For reflection. */
  readonly packageDefinition: PackageDefinition;
  readonly definition: ServiceDefinition;
  readonly handlers: UntypedServiceImplementation;
  /** They see only calls that were admitted: certificates and tokens are checked first. */
  readonly interceptors: readonly ServerInterceptor[];
  serve(serving: Serving): void;
  /** A forward pass has ended, whoever asked for its images. */
  onBatch(report: BatchReport): void;
  /** Takes no new requests. Resolves when the accepted ones are answered. */
  drain(): Promise<void>;
  /** Ends what is left, answered or not. */
  stop(): void;
}
