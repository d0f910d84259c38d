/**
 * Two network namespaces of this process's own with one cable between them, where the machine lets
 * it (root, Linux, iproute2). Nothing in them reaches any other network.
 */
import { spawnSync } from 'node:child_process';

/** Addresses of documentation (RFC 5737): nobody's. */
const NEAR_ADDRESS = '192.0.2.1';
const FAR_ADDRESS = '192.0.2.2';

export class NetworkNamespaces {
  readonly near: string;
  readonly far: string;
  readonly farAddress = FAR_ADDRESS;

  /** Why there are none here; or them. */
  static open(): NetworkNamespaces | string {
    const namespaces = new NetworkNamespaces();
    try {
      namespaces.#lay();
      return namespaces;
    } catch (error) {
      namespaces.close();
      return (error as Error).message;
    }
  }

  private constructor() {
    this.near = `cirkd-near-${process.pid}`;
    this.far = `cirkd-far-${process.pid}`;
  }

  /** Pulls the cable: packets are lost both ways, and no end is told by the other. */
  cut(): void {
    ip('-n', this.far, 'link', 'set', 'cable', 'down');
  }

  mend(): void {
    ip('-n', this.far, 'link', 'set', 'cable', 'up');
  }

  /** The cable goes with its namespace. */
  close(): void {
    for (const name of [this.near, this.far]) spawnSync('ip', ['netns', 'delete', name]);
  }

  #lay(): void {
    const { near, far } = this;
    for (const name of [near, far]) {
      ip('netns', 'add', name);
      ip('-n', name, 'link', 'set', 'lo', 'up');
    }
    ip('-n', near, 'link', 'add', 'cable', 'type', 'veth', 'peer', 'name', 'cable', 'netns', far);
    for (const [name, address] of [
      [near, NEAR_ADDRESS],
      [far, FAR_ADDRESS],
    ] as const) {
      ip('-n', name, 'address', 'add', `${address}/24`, 'dev', 'cable');
      ip('-n', name, 'link', 'set', 'cable', 'up');
    }
  }
}

function ip(...args: string[]): void {
  const { status, stderr, error } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status === 0) return;
  throw new Error(`ip ${args.join(' ')}: ${error?.message ?? stderr.trim()}`);
}
