/** A single look-up of the addresses behind a DNS name. */
import { lookup, Resolver } from 'node:dns/promises';
import type { DnsName } from './target.js';

/** Limit for one query to one server; short, as a failed look-up is soon repeated. */
const QUERY_TIMEOUT_MS = 2000;
const TRIES = 2;

/** The resolvers' codes for a name without an address of the requested family. */
const NO_ADDRESS_CODES: ReadonlySet<unknown> = new Set(['ENODATA', 'ENOTFOUND']);

/**
 * The IPv4 addresses or, if there are none, the IPv6 addresses: a host that has both is one host.
 * Empty if the name has no address; rejects if no resolver answered. The signal cancels queries to a
 * given server; the system's own look-ups run to their end.
 */
export async function lookUp(name: DnsName, signal: AbortSignal): Promise<string[]> {
  if (name.server === null) return queryBothFamilies(systemQuery(name));
  // A new resolver for each look-up, so that it can't reuse earlier answers.
  const resolver = new Resolver({ timeout: QUERY_TIMEOUT_MS, tries: TRIES });
  resolver.setServers([name.server]);
  const cancel = () => resolver.cancel();
  signal.addEventListener('abort', cancel);
  try {
    return await queryBothFamilies(serverQuery(name, resolver));
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

type Query = (family: 4 | 6) => Promise<string[]>;

async function queryBothFamilies(query: Query): Promise<string[]> {
  const found = await emptyIfNotFound(query(4));
  return found.length > 0 ? found : emptyIfNotFound(query(6));
}

function systemQuery({ host }: DnsName): Query {
  return async (family) => {
    const found = await lookup(host, { all: true, family });
    return found.map(({ address }) => address);
  };
}

function serverQuery({ host }: DnsName, resolver: Resolver): Query {
  return (family) => (family === 4 ? resolver.resolve4(host) : resolver.resolve6(host));
}

async function emptyIfNotFound(answer: Promise<string[]>): Promise<string[]> {
  try {
    return await answer;
  } catch (error) {
    if (NO_ADDRESS_CODES.has((error as NodeJS.ErrnoException).code)) return [];
    throw error;
  }
}
