/**
 * The members of the fleet: the given addresses, and those behind the given names, which come and go.
 * Each address has one link, even if several entries lead to it.
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
  /** The addresses that each name had when it was last found. */
  readonly #resolved = new Map<WatchedName, readonly Endpoint[]>();
  readonly #links = new Map<string, TeacherLink>();
  /** The streams of former members, until they have ended. */
  readonly #closing = new Set<Promise<void>>();
  #isClosed = false;

  /** `onChange`: members came or went. Throws RangeError for a malformed name. */
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

  #watch(name: DnsName): WatchedName {
    const { lookupIntervalMs, onName } = this.#settings;
    const report = (addresses: readonly string[] | null, detail: string) =>
      onName?.({ name: name.text, addresses, detail });
    const watched = new WatchedName(name, lookupIntervalMs, {
      onAddresses: (ips) => this.#found(watched, ips, report),
      onProblem: (problem) => report(null, problem),
    });
    return watched;
  }

  #found(
    watched: WatchedName,
    ips: readonly string[],
    report: (addresses: readonly string[], detail: string) => void,
  ): void {
    const before = this.#resolved.get(watched) ?? [];
    const now = ips.map((ip) => endpointOf(watched.name, ip));
    this.#resolved.set(watched, now);
    if (listed(now).join() === listed(before).join()) return;
    report(listed(now), '');
    this.#sync();
    this.#onChange();
  }

  /** Opens and leaves links until they match the wanted addresses. */
  #sync(): void {
    if (this.#isClosed) return;
    const wanted = new Map<string, Endpoint>();
    for (const endpoint of [...this.#fixed, ...[...this.#resolved.values()].flat()]) {
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
