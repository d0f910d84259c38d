/**
 * Addresses of models on servers that speak the Open Inference Protocol:
 *
 *     oip://host:port/model[/version]              one server
 *     oip+dns://[server]/host:port/model[/version] one for each address behind a name
 *
 * `oips` in place of `oip`: over TLS. Model and version may be percent-encoded.
 */
import { isIP, isIPv6 } from 'node:net';
import { parseDnsName } from '../../rpc/target.js';
import type { Entry } from '../../stream/client/conversation.js';

export interface OipAddress {
  readonly isSecure: boolean;
  /** host:port or [IPv6]:port */
  readonly target: string;
  readonly model: string;
  /** Empty: the server's choice. */
  readonly version: string;
}

const SCHEME = /^(oips?)(\+dns)?:/;
const ONE = /^(oips?):\/\/((?:\[[^\]\s/]+\]|[^/:\s[\]]+):(\d{1,5}))((?:\/[^/\s]+){1,2})$/;
const NAMED =
  /^(oips?)\+dns:\/\/([^/\s]*)\/((?:\[[^\]\s/]+\]|[^/:\s[\]]+):\d{1,5})((?:\/[^/\s]+){1,2})$/;
const WANTED =
  'oip://host:port/model[/version], with oips for TLS and oip+dns:///host:port/model for a name';

export function isOipAddress(text: string): boolean {
  return SCHEME.test(text);
}

/** Whether the connection is to be over TLS; call it for an address of this protocol only. */
export function wantsTls(text: string): boolean {
  return SCHEME.exec(text)?.[1] === 'oips';
}

/** null: not an address of this protocol. Throws RangeError for a malformed one. */
export function oipEntry(text: string): Entry | null {
  const match = SCHEME.exec(text);
  if (match === null) return null;
  if (match[2] === undefined) {
    parseOipAddress(text);
    return { endpoint: { address: text } };
  }
  const [, scheme, server, hostPort, path] = NAMED.exec(text) ?? malformed(text);
  decodedPath(text, path!);
  const name = { ...parseDnsName(`dns://${server}/${hostPort}`)!, text };
  const { host, port } = name;
  return {
    name,
    endpointAt(ip) {
      const address = `${scheme}://${isIPv6(ip) ? `[${ip}]` : ip}:${port}${path}`;
      return isIP(host) === 0 ? { address, name: { host, port } } : { address };
    },
  };
}

/** The parts of the address of one server. Throws RangeError. */
export function parseOipAddress(text: string): OipAddress {
  const [, scheme, target, port, path] = ONE.exec(text) ?? malformed(text);
  if (Number(port) < 1 || Number(port) > 65_535) malformed(text);
  const [model, version] = decodedPath(text, path!);
  return { isSecure: scheme === 'oips', target: target!, model: model!, version: version ?? '' };
}

function decodedPath(text: string, path: string): string[] {
  try {
    return path.slice(1).split('/').map(decodeURIComponent);
  } catch {
    return malformed(text);
  }
}

function malformed(text: string): never {
  throw new RangeError(`address: ${text} given, wanted ${WANTED}`);
}
