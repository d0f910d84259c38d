/**
 * The target of a client, in gRPC's name syntax: one address, or a DNS name that stands for all
 * addresses behind it.
 */
import { Resolver } from 'node:dns/promises';
import { isIP, isIPv6 } from 'node:net';

/** The remote end of one connection. */
export interface Endpoint {
  /** In gRPC's form: host:port, [IPv6]:port, unix:path. */
  readonly address: string;
  /** The DNS name behind which the address was found; undefined: the address itself was given. */
  readonly name?: { readonly host: string; readonly port: number };
}

/** dns:[//server[:port]/]host:port */
export interface DnsName {
  /** As it was given. */
  readonly text: string;
  readonly host: string;
  readonly port: number;
  /** IP[:port] of the DNS server to ask; null: as the system does (hosts file, search domains). */
  readonly server: string | null;
}

const DNS_NAME = /^dns:(?:\/\/([^/\s]*)\/)?(\[[^\]\s]+\]|[^/:\s]+):(\d{1,5})$/;

/** The name, or null if the text is an address. Throws RangeError for a malformed name. */
export function parseDnsName(text: string): DnsName | null {
  if (!text.startsWith('dns:')) return null;
  const match = DNS_NAME.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port < 1 || port > 65_535) {
    throw new RangeError(
      `address: ${text} given, wanted dns:///host:port or dns://server/host:port`,
    );
  }
  const server = match[1] || null;
  if (server !== null) checkServer(text, server);
  return { text, host: match[2]!.replace(/^\[|\]$/g, ''), port, server };
}

/** One of the addresses behind a name; `ip` without brackets. */
export function endpointOf({ host, port }: DnsName, ip: string): Endpoint {
  const address = `${isIPv6(ip) ? `[${ip}]` : ip}:${port}`;
  return isIP(host) === 0 ? { address, name: { host, port } } : { address };
}

function checkServer(text: string, server: string): void {
  try {
    new Resolver().setServers([server]);
  } catch {
    throw new RangeError(`address: ${text} given, wanted an IP or IP:port as DNS server`);
  }
}
