/** The addresses behind a DNS name, asked for once. */
import { lookup, Resolver } from 'node:dns/promises';
import type { DnsName } from './target.js';

/** Of one question to one server: a look-up that fails is made again soon. */
const QUESTION_TIMEOUT_MS = 2000;
const TRIES = 2;

/** What resolvers say where a name has no address of the kind that was asked for. */
const NONE: ReadonlySet<unknown> = new Set(['ENODATA', 'ENOTFOUND']);

/**
 * The IPv4 addresses, or where there are none the IPv6 ones: a host that has both is one host.
 * Empty where the name has no address; rejects when nobody could say. The signal ends questions to a
 * server; the system's go on to their own end.
 */
export async function lookUp(name: DnsName, signal: AbortSignal): Promise<string[]> {
  if (name.server === null) return askBoth(askSystem(name));
  // Made anew each time: what it may keep of earlier answers is gone.
  const resolver = new Resolver({ timeout: QUESTION_TIMEOUT_MS, tries: TRIES });
  resolver.setServers([name.server]);
  const cancel = () => resolver.cancel();
  signal.addEventListener('abort', cancel);
  try {
    return await askBoth(askServer(name, resolver));
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

type Ask = (family: 4 | 6) => Promise<string[]>;

async function askBoth(ask: Ask): Promise<string[]> {
  const found = await noneIfUnknown(ask(4));
  return found.length > 0 ? found : noneIfUnknown(ask(6));
}

function askSystem({ host }: DnsName): Ask {
  return async (family) => {
    const found = await lookup(host, { all: true, family });
    return found.map(({ address }) => address);
  };
}

function askServer({ host }: DnsName, resolver: Resolver): Ask {
  return (family) => (family === 4 ? resolver.resolve4(host) : resolver.resolve6(host));
}

async function noneIfUnknown(answer: Promise<string[]>): Promise<string[]> {
  try {
    return await answer;
  } catch (error) {
    if (NONE.has((error as NodeJS.ErrnoException).code)) return [];
    throw error;
  }
}
