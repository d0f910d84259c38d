/**
 * Authentication: an interceptor that ends unauthenticated calls before any of their messages is read.
 *
 * A client certificate is checked here and not in the handshake. There Node.js could only hang up,
 * and the client would not learn why. grpc-js gives a peer's certificate only if TLS found it valid
 * and from a trusted authority. TLS checked it when the connection began, so its expiry is checked
 * again for each call.
 */
import type { PeerCertificate } from 'node:tls';
import type { Metadata, ServerInterceptingCallInterface, ServerInterceptor } from '@grpc/grpc-js';
import { CallLayer } from './calls/callLayer.js';
import { GrpcStatus } from './errors.js';
import { isAccepted } from './security/bearerTokens.js';

export interface AdmissionRules {
  /** Callers must have shown a certificate in the handshake. */
  readonly clientCertificate: boolean;
  /** The tokens accepted now; null: no token is required. */
  readonly tokens: (() => readonly string[]) | null;
  readonly onRefused?: (refused: { readonly peer: string; readonly reason: string }) => void;
}

/** Ends each call that breaks the rules with UNAUTHENTICATED. */
export function admission(rules: AdmissionRules): ServerInterceptor {
  return (_method, call) => new AdmittedCall(call, rules).intercepting;
}

class AdmittedCall extends CallLayer {
  readonly #rules: AdmissionRules;
  #admitted = false;

  constructor(call: ServerInterceptingCallInterface, rules: AdmissionRules) {
    super(call);
    this.#rules = rules;
  }

  override onReceiveMetadata(metadata: Metadata): void {
    const rules = this.#rules;
    const { sslPeerCertificate } = this.below.getAuthContext();
    const reason = refusal(rules, sslPeerCertificate, metadata.get('authorization'));
    if (reason === undefined) {
      // No handler needs the token, so none should be able to leak it.
      metadata.remove('authorization');
      this.#admitted = true;
      super.onReceiveMetadata(metadata);
      return;
    }
    rules.onRefused?.({ peer: this.getPeer(), reason });
    this.below.sendStatus({ code: GrpcStatus.UNAUTHENTICATED, details: reason, metadata: null });
  }

  override onReceiveMessage(message: unknown): void {
    if (this.#admitted) super.onReceiveMessage(message);
  }

  override onReceiveHalfClose(): void {
    if (this.#admitted) super.onReceiveHalfClose();
  }
}

function refusal(
  { clientCertificate, tokens }: AdmissionRules,
  certificate: PeerCertificate | undefined,
  authorization: readonly (string | Buffer)[],
): string | undefined {
  if (clientCertificate) {
    if (certificate === undefined) {
      return 'client certificate: none given, or it is not valid or not signed by a trusted authority';
    }
    if (Date.parse(certificate.valid_to) <= Date.now()) return 'client certificate: expired';
  }
  if (tokens === null) return undefined;
  if (authorization.length === 0) return 'authorization: no bearer token given';
  const accepted = authorization.length === 1 && isAccepted(String(authorization[0]), tokens());
  return accepted ? undefined : 'authorization: bearer token not accepted';
}
