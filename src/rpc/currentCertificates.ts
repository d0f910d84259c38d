/** The certificates of this moment, as grpc-js asks a provider of them for its handshakes. */
import type { experimental } from '@grpc/grpc-js';
import type { Identity } from './certificates.js';

/** Each listener is told at once, and again on each change. */
export class CurrentCertificates implements experimental.CertificateProvider {
  #identity: Identity;
  #authorities: Buffer | null;
  readonly #identityListeners = new Set<experimental.IdentityCertificateUpdateListener>();
  readonly #authorityListeners = new Set<experimental.CaCertificateUpdateListener>();

  /** `authorities`: PEM; null where nobody asks for them. */
  constructor(identity: Identity, authorities: Buffer | null) {
    this.#identity = identity;
    this.#authorities = authorities;
  }

  set(identity: Identity, authorities: Buffer | null): void {
    this.#identity = identity;
    this.#authorities = authorities;
    for (const listener of this.#authorityListeners) this.#tellAuthorities(listener);
    for (const listener of this.#identityListeners) this.#tellIdentity(listener);
  }

  addIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#identityListeners.add(listener);
    // Later: a server listens before it is ready to be told.
    queueMicrotask(() => this.#tellIdentity(listener));
  }

  removeIdentityCertificateListener(
    listener: experimental.IdentityCertificateUpdateListener,
  ): void {
    this.#identityListeners.delete(listener);
  }

  addCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#authorityListeners.add(listener);
    queueMicrotask(() => this.#tellAuthorities(listener));
  }

  removeCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#authorityListeners.delete(listener);
  }

  #tellIdentity(listener: experimental.IdentityCertificateUpdateListener): void {
    const { certificate, privateKey } = this.#identity;
    listener({ certificate, privateKey });
  }

  #tellAuthorities(listener: experimental.CaCertificateUpdateListener): void {
    listener(this.#authorities === null ? null : { caCertificate: this.#authorities });
  }
}
