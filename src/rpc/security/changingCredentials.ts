/** A server's side of TLS, with certificates that change while it listens. */
import { constants } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';
import type { Identity } from './certificates.js';

export class ChangingCredentials extends ServerCredentials {
  /**
   * `clientCa`: PEM, the authorities of clients' certificates; null: clients are asked for none.
   * After `handshakeTimeoutMs` who has connected and doesn't get on with TLS is hung up on.
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

  /** For every handshake from now on. */
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
    // Who resumes a session is taken for what its first handshake found, for hours, whatever has
    // expired since. Students keep one connection and resume none.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}
