/** What a server wants of its callers and shows to them, from files that may change while it runs. */
import { experimental, ServerCredentials, type ServerInterceptor } from '@grpc/grpc-js';
import { admission } from './admission.js';
import { readTokens } from './bearerTokens.js';
import { type Identity, readAuthorities, readIdentity } from './certificates.js';
import { CurrentCertificates } from './currentCertificates.js';
import { type NamedFile, type SecurityFileError, WatchedFiles } from './watchedFiles.js';

export interface SecurityHooks {
  /** An own certificate is in use: at the start, and after each change of its files. */
  readonly onCertificate?: (expires: Date) => void;
  /** Files have changed, and what is new in them is in use. */
  readonly onReloaded?: (keys: readonly string[]) => void;
  /** Files have changed and can't be used; what they held before stays in use. */
  readonly onProblem?: (error: SecurityFileError) => void;
}

export interface ServerSecurityOptions extends SecurityHooks {
  /** null: plaintext. */
  readonly tls: {
    readonly certificate: NamedFile;
    readonly key: NamedFile;
    /** null: no certificate is asked of clients. */
    readonly clientCa: NamedFile | null;
  } | null;
  /** null: no token is asked for. */
  readonly tokens: NamedFile | null;
  /** Default RELOAD_EVERY_MS. */
  readonly reloadEveryMs?: number;
  readonly onRefused?: (refused: { readonly peer: string; readonly reason: string }) => void;
}

export interface ServerSecurity {
  readonly credentials: ServerCredentials;
  /** To be the last one of the server's: those before it see what it refuses. */
  readonly interceptors: readonly ServerInterceptor[];
  close(): void;
}

/** New files are in use within this time and that of reading them. */
export const RELOAD_EVERY_MS = 3000;

interface Material {
  readonly identity: Identity;
  readonly clientCa: Buffer | null;
}

/** Rejects with SecurityFileError. */
export async function openServerSecurity(options: ServerSecurityOptions): Promise<ServerSecurity> {
  const { tls, tokens, onRefused } = options;
  const watchedTokens = tokens === null ? null : await watchTokens(tokens, options);
  let certificates: { credentials: ServerCredentials; close(): void } | null = null;
  try {
    certificates = tls === null ? null : await watchCertificates(tls, options);
  } catch (error) {
    watchedTokens?.close();
    throw error;
  }
  const clientCertificate = tls !== null && tls.clientCa !== null;
  const rules = {
    clientCertificate,
    tokens: watchedTokens === null ? null : () => watchedTokens.current,
    ...(onRefused === undefined ? {} : { onRefused }),
  };
  return {
    credentials: certificates?.credentials ?? ServerCredentials.createInsecure(),
    interceptors: clientCertificate || tokens !== null ? [admission(rules)] : [],
    close() {
      watchedTokens?.close();
      certificates?.close();
    },
  };
}

/** Tokens of a file; for both sides. */
export function watchTokens(
  file: NamedFile,
  { onReloaded, onProblem, reloadEveryMs }: SecurityHooks & { readonly reloadEveryMs?: number },
): Promise<WatchedFiles<readonly string[]>> {
  return WatchedFiles.open({
    files: [file],
    parse: ([content]) => readTokens(file, content!),
    onChange: () => onReloaded?.([file.key]),
    ...(onProblem === undefined ? {} : { onProblem }),
    everyMs: reloadEveryMs ?? RELOAD_EVERY_MS,
  });
}

async function watchCertificates(
  tls: NonNullable<ServerSecurityOptions['tls']>,
  { onCertificate, onReloaded, onProblem, reloadEveryMs }: ServerSecurityOptions,
): Promise<{ credentials: ServerCredentials; close(): void }> {
  const { certificate, key, clientCa } = tls;
  const files = [certificate, key, ...(clientCa === null ? [] : [clientCa])];
  let provider: CurrentCertificates | undefined;
  // One watch for all: a new identity and the authority that comes with it are taken together.
  const watched = await WatchedFiles.open<Material>({
    files,
    parse: (contents) => ({
      identity: readIdentity(tls, contents),
      clientCa: clientCa === null ? null : readAuthorities(clientCa, contents[2]!),
    }),
    onChange: (material) => {
      provider?.set(material.identity, material.clientCa);
      onCertificate?.(material.identity.expires);
      onReloaded?.(files.map((file) => file.key));
    },
    ...(onProblem === undefined ? {} : { onProblem }),
    everyMs: reloadEveryMs ?? RELOAD_EVERY_MS,
  });
  const { identity, clientCa: authorities } = watched.current;
  provider = new CurrentCertificates(identity, authorities);
  onCertificate?.(identity.expires);
  return {
    // Not refused in the handshake: see admission.ts.
    credentials: experimental.createCertificateProviderServerCredentials(
      provider,
      clientCa === null ? null : provider,
      false,
    ),
    close: () => watched.close(),
  };
}
