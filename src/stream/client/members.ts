/**
 * The members of the fleet: the given addresses, and those behind the given names, which come and go.
 * Each address has one link, even if several entries lead to it.
 */
import type { DnsName, Endpoint } from '../../rpc/target.js';
import { WatchedName } from '../../rpc/watchedName.js';
import type { Entry, TeacherProtocol } from './conversation.js';
import type { TeacherLink } from './link.js';
import type { ClientSettings } from './options.js';

/** A teacher of the fleet, and the protocol by which it is reached. */
export interface Member {
  readonly endpoint: Endpoint;
  readonly protocol: TeacherProtocol;
}

type LinkOf = (member: Member) => TeacherLink;

type Settings = Pick<ClientSettings, 'addresses' | 'lookupIntervalMs' | 'onName'>;

export class Members {
  readonly #settings: Settings;
  readonly #link: LinkOf;
  readonly #onChange: () => void;
  readonly #fixed: readonly Member[];
  readonly #names: readonly WatchedName[];
  /** The addresses that each name had when it was last found. */
  readonly #resolved = new Map<WatchedName, readonly Member[]>();
  readonly #links = new Map<string, TeacherLink>();
  /** The streams of former members, until they have ended. */
  readonly #closing = new Set<Promise<void>>();
  #isClosed = false;

  /**
   * `protocols` in the order in which they are asked whether an address is theirs; `onChange`: members
   * came or went. Throws RangeError for a malformed address.
   */
  constructor(
    settings: Settings,
    protocols: readonly TeacherProtocol[],
    link: LinkOf,
    onChange: () => void,
  ) {
    this.#settings = settings;
    this.#link = link;
    this.#onChange = onChange;
    const entries = settings.addresses.map((address) => entryOf(address, protocols));
    this.#fixed = entries.flatMap(({ entry, protocol }) =>
      'endpoint' in entry ? [{ endpoint: entry.endpoint, protocol }] : [],
    );
    this.#names = entries.flatMap(({ entry, protocol }) =>
      'endpoint' in entry
        ? []
        : [this.#watch(entry.name, (ip) => ({ endpoint: entry.endpointAt(ip), protocol }))],
    );
  }

  /** All links; leaving ones are included until they have gone. */
  get links(): readonly TeacherLink[] {
    return [...this.#links.values()];
  }

  /** Whether each name has been found once: until then more teachers may join at any time. */
  get namesFound(): boolean {
    return this.#names.every(({ wasFound }) => wasFound);
  }

  /** A list of every member and every name without addresses, each with its problem. */
  get problems(): string {
    const links = this.links.map(({ address, lastError }) => `${address} (${lastError})`);
    const names = this.#names
      .filter(({ wasFound, problem }) => !wasFound || problem !== undefined)
      .map(({ name, problem }) => `${name.text} (${problem ?? 'no DNS answer yet'})`);
    return [...links, ...names].join('; ');
  }

  open(): void {
    this.#sync();
    for (const name of this.#names) name.refresh();
  }

  /** A teacher was lost: looks the names up again, as others may have replaced it. */
  lookUpAgain(): void {
    for (const name of this.#names) name.refresh();
  }

  /** A member that was asked to leave has answered everything: closes its link. */
  left(link: TeacherLink): void {
    this.#links.delete(link.address);
    const closing = link.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
    // Its address may have come back while it was leaving.
    this.#sync();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const name of this.#names) name.close();
    await Promise.all([...this.links.map((link) => link.close()), ...this.#closing]);
  }

  #watch(name: DnsName, memberAt: (ip: string) => Member): WatchedName {
    const { lookupIntervalMs, onName } = this.#settings;
    const report = (addresses: readonly string[] | null, detail: string) =>
      onName?.({ name: name.text, addresses, detail });
    const watched = new WatchedName(name, lookupIntervalMs, {
      onAddresses: (ips) => this.#found(watched, ips.map(memberAt), report),
      onProblem: (problem) => report(null, problem),
    });
    return watched;
  }

  #found(
    watched: WatchedName,
    now: readonly Member[],
    report: (addresses: readonly string[], detail: string) => void,
  ): void {
    const before = this.#resolved.get(watched) ?? [];
    this.#resolved.set(watched, now);
    if (listed(now).join() === listed(before).join()) return;
    report(listed(now), '');
    this.#sync();
    this.#onChange();
  }

  /** Opens and leaves links until they match the wanted addresses. */
  #sync(): void {
    if (this.#isClosed) return;
    const wanted = new Map<string, Member>();
    for (const member of [...this.#fixed, ...[...this.#resolved.values()].flat()]) {
      const { address } = member.endpoint;
      if (!wanted.has(address)) wanted.set(address, member);
    }
    for (const [address, link] of [...this.#links]) {
      if (wanted.has(address)) link.stay();
      else link.leave();
    }
    for (const [address, member] of wanted) {
      if (this.#links.has(address)) continue;
      const link = this.#link(member);
      this.#links.set(address, link);
      link.connect();
    }
  }
}

function entryOf(
  address: string,
  protocols: readonly TeacherProtocol[],
): { readonly entry: Entry; readonly protocol: TeacherProtocol } {
  for (const protocol of protocols) {
    const entry = protocol.entry(address);
    if (entry !== null) return { entry, protocol };
  }
  throw new RangeError(`address: ${address} given, which no protocol here knows`);
}

function listed(members: readonly Member[]): string[] {
  return [...new Set(members.map(({ endpoint }) => endpoint.address))].sort();
}
