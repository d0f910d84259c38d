/** A client's certificates, authorities and token, from files that may change while it runs. */
import { type ChannelCredentials, credentials, Metadata } from '@grpc/grpc-js';
import { endingConnections, plaintext } from '../endingConnections.js';
import { bearer } from './bearerTokens.js';
import { type Identity, readAuthorities, readIdentity } from './certificates.js';
import {
  RELOAD_EVERY_MS,
  reportExposed,
  type SecurityHooks,
  watchTokens,
} from './serverSecurity.js';
import { type NamedFile, WatchedFiles } from './watchedFiles.js';

export interface ClientSecurityOptions extends SecurityHooks {
  /** null: plaintext. */
  readonly tls: {
    /** The server's certificate must come from one of these authorities. */
    readonly ca: NamedFile;
    /** null: no certificate of our own. */
    readonly identity: { readonly certificate: NamedFile; readonly key: NamedFile } | null;
  } | null;
  /** null: no token. With plaintext there can be none. */
  readonly token: NamedFile | null;
  /** Default RELOAD_EVERY_MS. */
  readonly reloadEveryMs?: number;
}

export interface ClientSecurity {
  /** Credentials for a connection that is opened now. */
  credentials(): ChannelCredentials;
  close(): void;
}

interface Material {
  readonly ca: Buffer;
  readonly identity: Identity | null;
}

/** Rejects with SecurityFileError. */
export async function openClientSecurity(options: ClientSecurityOptions): Promise<ClientSecurity> {
  const { tls, token } = options;
  if (tls === null) return { credentials: plaintext, close() {} };
  const watched = await watchMaterial(tls, options);
  let tokens: WatchedFiles<readonly string[]> | null = null;
  try {
    tokens = token === null ? null : await watchTokens(token, options);
  } catch (error) {
    watched.close();
    throw error;
  }
  const keys = tls.identity === null ? [] : [tls.identity.key];
  await reportExposed([...keys, ...(token === null ? [] : [token])], options);
  return {
    credentials() {
      const { ca, identity } = watched.current;
      const channel = endingConnections(
        credentials.createSsl(ca, identity?.privateKey, identity?.certificate),
      );
      return tokens === null ? channel : withToken(channel, tokens.current[0]!);
    },
    close() {
      watched.close();
      tokens?.close();
    },
  };
}

async function watchMaterial(
  { ca, identity }: NonNullable<ClientSecurityOptions['tls']>,
  { onCertificate, onReloaded, onProblem, reloadEveryMs }: ClientSecurityOptions,
): Promise<WatchedFiles<Material>> {
  const files = [ca, ...(identity === null ? [] : [identity.certificate, identity.key])];
  const reportExpiry = ({ identity: own }: Material) => {
    if (own !== null) onCertificate?.(own.expires);
  };
  const watched = await WatchedFiles.open<Material>({
    files,
    parse: ([authorities, ...own]) => ({
      ca: readAuthorities(ca, authorities!),
      identity: identity === null ? null : readIdentity(identity, own),
    }),
    onChange: (material) => {
      reportExpiry(material);
      onReloaded?.(files.map(({ key }) => key));
    },
    ...(onProblem === undefined ? {} : { onProblem }),
    everyMs: reloadEveryMs ?? RELOAD_EVERY_MS,
  });
  reportExpiry(watched.current);
  return watched;
}

function withToken(channel: ChannelCredentials, token: string): ChannelCredentials {
  const call = credentials.createFromMetadataGenerator((_call, callback) => {
    const metadata = new Metadata();
    metadata.set('authorization', bearer(token));
    callback(null, metadata);
  });
  return credentials.combineChannelCredentials(channel, call);
}
