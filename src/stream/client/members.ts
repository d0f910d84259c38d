/**
 * Who belongs to the fleet: the addresses that were given, and those behind the names that were
 * given, which come and go. Every address is one link, however many entries it stands for.
 */
import { type DnsName, type Endpoint, endpointOf, parseDnsName } from '../../rpc/target.js';
import { WatchedName } from '../../rpc/watchedName.js';
import type { TeacherLink } from './link.js';
import type { ClientSettings } from './options.js';

type Settings = Pick<ClientSettings, 'addresses' | 'lookupIntervalMs' | 'onName'>;

export class Members {
  readonly #settings: Settings;
  readonly #link: (endpoint: Endpoint) => TeacherLink;
  readonly #onChange: () => void;
  readonly #fixed: readonly Endpoint[];
  readonly #names: readonly WatchedName[];
  /** What stood behind each name when it was last found. */
  readonly #behind = new Map<WatchedName, readonly Endpoint[]>();
  readonly #links = new Map<string, TeacherLink>();
  /** Streams of those that left, until they have ended. */
  readonly #closing = new Set<Promise<void>>();
  #isClosed = false;

  /** `onChange`: members came or went. Throws RangeError for a name that can't be. */
  constructor(settings: Settings, link: (endpoint: Endpoint) => TeacherLink, onChange: () => void) {
    this.#settings = settings;
    this.#link = link;
    this.#onChange = onChange;
    const names = settings.addresses.map(parseDnsName);
    this.#fixed = settings.addresses
      .filter((_, i) => names[i] === null)
      .map((address) => ({ address }));
    this.#names = names.filter((name) => name !== null).map((name) => this.#watch(name));
  }

  /** Those that leave included, until they have gone. */
  get links(): readonly TeacherLink[] {
    return [...this.#links.values()];
  }

  /** Whether each name has been found once: until then more teachers may come at any time. */
  get namesFound(): boolean {
    return this.#names.every(({ wasFound }) => wasFound);
  }

  /** Each member, and each name behind which nobody is, with what is wrong about it. */
  get problems(): string {
    const links = this.links.map(({ address, lastError }) => `${address} (${lastError})`);
    const names = this.#names
      .filter(({ wasFound, problem }) => !wasFound || problem !== undefined)
      .map(({ name, problem }) => `${name.text} (${problem ?? 'no answer of a DNS server yet'})`);
    return [...links, ...names].join('; ');
  }

  open(): void {
    this.#sync();
    for (const name of this.#names) name.look();
  }

  /** A teacher was lost: others may be there in its place. */
  lookAgain(): void {
    for (const name of this.#names) name.look();
  }

  /** A member that was told to leave owes nothing any more. */
  left(link: TeacherLink): void {
    this.#links.delete(link.address);
    const closing = link.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
    // Its address may have come back while it left.
    this.#sync();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const name of this.#names) name.close();
    await Promise.all([...this.links.map((link) => link.close()), ...this.#closing]);
  }

  #watch(name: DnsName): WatchedName {
    const { lookupIntervalMs, onName } = this.#settings;
    const tell = (addresses: readonly string[] | null, detail: string) =>
      onName?.({ name: name.text, addresses, detail });
    const watched = new WatchedName(name, lookupIntervalMs, {
      onAddresses: (ips) => this.#found(watched, ips, tell),
      onProblem: (problem) => tell(null, problem),
    });
    return watched;
  }

  #found(
    watched: WatchedName,
    ips: readonly string[],
    tell: (addresses: readonly string[], detail: string) => void,
  ): void {
    const before = this.#behind.get(watched) ?? [];
    const now = ips.map((ip) => endpointOf(watched.name, ip));
    this.#behind.set(watched, now);
    if (listed(now).join() === listed(before).join()) return;
    tell(listed(now), '');
    this.#sync();
    this.#onChange();
  }

  /** Makes the links those of the addresses that are wanted now. */
  #sync(): void {
    if (this.#isClosed) return;
    const wanted = new Map<string, Endpoint>();
    for (const endpoint of [...this.#fixed, ...[...this.#behind.values()].flat()]) {
      if (!wanted.has(endpoint.address)) wanted.set(endpoint.address, endpoint);
    }
    for (const [address, link] of [...this.#links]) {
      if (wanted.has(address)) link.stay();
      else link.leave();
    }
    for (const [address, endpoint] of wanted) {
      if (this.#links.has(address)) continue;
      const link = this.#link(endpoint);
      this.#links.set(address, link);
      link.connect();
    }
  }
}

function listed(endpoints: readonly Endpoint[]): string[] {
  return [...new Set(endpoints.map(({ address }) => address))].sort();
}
