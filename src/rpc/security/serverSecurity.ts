/** A server's certificates, authorities and tokens, from files that may change while it runs. */
import { ServerCredentials, type ServerInterceptor } from '@grpc/grpc-js';
import { admission } from '../admission.js';
import { readTokens } from './bearerTokens.js';
import { type Identity, readAuthorities, readIdentity } from './certificates.js';
import { ChangingCredentials } from './changingCredentials.js';
import { exposedFiles } from './exposedFiles.js';
import { type NamedFile, type SecurityFileError, WatchedFiles } from './watchedFiles.js';

export interface SecurityHooks {
  /** The server's certificate is in use: called at the start, and after each change of its files. */
  readonly onCertificate?: (expires: Date) => void;
  /** Files have changed, and their new contents are in use. */
  readonly onReloaded?: (keys: readonly string[]) => void;
  /** Files have changed and can't be used; their old contents stay in use. */
  readonly onProblem?: (error: SecurityFileError) => void;
  /** Called at the start for each key or token file that every user of the machine may read. */
  readonly onExposed?: (reason: string) => void;
}

export interface ServerSecurityOptions extends SecurityHooks {
  /** null: plaintext. */
  readonly tls: {
    readonly certificate: NamedFile;
    readonly key: NamedFile;
    /** null: clients need no certificate. */
    readonly clientCa: NamedFile | null;
  } | null;
  /** null: clients need no token. */
  readonly tokens: NamedFile | null;
  /** Default RELOAD_EVERY_MS. */
  readonly reloadEveryMs?: number;
  /** Limit for the whole TLS handshake. Default 10 s. */
  readonly handshakeTimeoutMs?: number;
  readonly onRefused?: (refused: { readonly peer: string; readonly reason: string }) => void;
}

export interface ServerSecurity {
  readonly credentials: ServerCredentials;
  /** Must come last among the server's interceptors, so that the earlier ones see refused calls. */
  readonly interceptors: readonly ServerInterceptor[];
  close(): void;
}

/** How often files are read; new contents are in use half a second later. */
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
  await reportExposed(
    [...(tls === null ? [] : [tls.key]), ...(tokens === null ? [] : [tokens])],
    options,
  );
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

/** Reports files that every user may read, for server and client. */
export async function reportExposed(
  secrets: readonly NamedFile[],
  { onExposed }: SecurityHooks,
): Promise<void> {
  for (const reason of await exposedFiles(secrets)) onExposed?.(reason);
}

/** Watches the tokens of a file, for server and client. */
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
  {
    onCertificate,
    onReloaded,
    onProblem,
    reloadEveryMs,
    handshakeTimeoutMs = 10_000,
  }: ServerSecurityOptions,
): Promise<{ credentials: ServerCredentials; close(): void }> {
  const { certificate, key, clientCa } = tls;
  const files = [certificate, key, ...(clientCa === null ? [] : [clientCa])];
  let credentials: ChangingCredentials | undefined;
  // One watch for all files: a new identity and its authority take effect together.
  const watched = await WatchedFiles.open<Material>({
    files,
    parse: (contents) => ({
      identity: readIdentity(tls, contents),
      clientCa: clientCa === null ? null : readAuthorities(clientCa, contents[2]!),
    }),
    onChange: (material) => {
      credentials?.set(material.identity, material.clientCa);
      onCertificate?.(material.identity.expires);
      onReloaded?.(files.map((file) => file.key));
    },
    ...(onProblem === undefined ? {} : { onProblem }),
    everyMs: reloadEveryMs ?? RELOAD_EVERY_MS,
  });
  const { identity, clientCa: authorities } = watched.current;
  credentials = new ChangingCredentials(identity, authorities, handshakeTimeoutMs);
  onCertificate?.(identity.expires);
  return { credentials, close: () => watched.close() };
}
