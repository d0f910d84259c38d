/** A server's side of TLS, with certificates that change while it listens. */
import { constants } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';
import type { Identity } from './certificates.js';

export class ChangingCredentials extends ServerCredentials {
  /**
   * `clientCa`: PEM, the authorities of clients' certificates; null: clients are asked for none.
   * A connection whose handshake takes longer than `handshakeTimeoutMs` is closed.
   */
  constructor(identity: Identity, clientCa: Buffer | null, handshakeTimeoutMs: number) {
    super(
      {
        requestCert: clientCa !== null,
        // Not refused in the handshake: see admission.ts.
        rejectUnauthorized: false,
        handshakeTimeout: handshakeTimeoutMs,
      },
      contextOptions(identity, clientCa),
    );
  }

  /** Replaces the certificates for every handshake from now on. */
  set(identity: Identity, clientCa: Buffer | null): void {
    this.updateSecureContextOptions(contextOptions(identity, clientCa));
  }

  _equals(other: ServerCredentials): boolean {
    return other === this;
  }
}

function contextOptions(identity: Identity, clientCa: Buffer | null): SecureContextOptions {
  return {
    cert: identity.certificate,
    key: identity.privateKey,
    ...(clientCa === null ? {} : { ca: clientCa }),
    minVersion: 'TLSv1.2',
    // A resumed session keeps the result of its first handshake for hours, even if a certificate has
    // expired since. Students keep one connection and resume none.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}
