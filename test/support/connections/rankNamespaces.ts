/**
 * A network namespace for each rank of a group, with an address of its own, and one for its teachers; all on a switch
 * (a bridge in the teachers' namespace). Nothing in them reaches any other network. Needs root, Linux and iproute2.
 */
import { spawnSync } from 'node:child_process';
import type { Inside } from '../commands/spawnCirkd.js';

/** Addresses of documentation (RFC 5737): nobody's. */
const NETWORK = '192.0.2';
/** As Kubeflow's operators choose it. */
const PORT = 2222;

/** Where a rank lives and listens. */
export interface RankPlace {
  readonly inside: Inside;
  readonly address: string;
}

export class RankNamespaces {
  readonly ranks: readonly RankPlace[];
  readonly teachers: { readonly inside: Inside; readonly host: string };

  /** Throws where the machine doesn't allow it; nothing is left then. */
  static open(ranks: number): RankNamespaces {
    const namespaces = new RankNamespaces(ranks);
    try {
      namespaces.#lay();
      return namespaces;
    } catch (error) {
      namespaces.close();
      const needs = 'this test needs root, Linux and iproute2, to make network namespaces';
      throw new Error(`${needs}: ${(error as Error).message}`);
    }
  }

  private constructor(ranks: number) {
    this.teachers = {
      inside: { namespace: `cirkd-teachers-${process.pid}` },
      host: `${NETWORK}.254`,
    };
    this.ranks = Array.from({ length: ranks }, (_, rank) => ({
      inside: { namespace: `cirkd-rank${rank}-${process.pid}` },
      address: `${NETWORK}.${rank + 1}:${PORT}`,
    }));
  }

  /** Pulls a rank's cable: packets are lost both ways, and no end is told by the other. */
  cut(rank: number): void {
    this.#setCable(rank, 'down');
  }

  mend(rank: number): void {
    this.#setCable(rank, 'up');
  }

  /** The cables and the switch go with the namespaces; processes inside have to have ended. */
  close(): void {
    for (const { inside } of [...this.ranks, this.teachers]) {
      spawnSync('ip', ['netns', 'delete', inside.namespace]);
    }
  }

  /** At the switch's end: the rank's own link stays up, with its address and routes. */
  #setCable(rank: number, state: 'up' | 'down'): void {
    ip('-n', this.teachers.inside.namespace, 'link', 'set', `port${rank}`, state);
  }

  #lay(): void {
    const { namespace: hub } = this.teachers.inside;
    for (const { inside } of [this.teachers, ...this.ranks]) {
      ip('netns', 'add', inside.namespace);
      ip('-n', inside.namespace, 'link', 'set', 'lo', 'up');
    }
    ip('-n', hub, 'link', 'add', 'name', 'switch', 'type', 'bridge');
    ip('-n', hub, 'address', 'add', `${this.teachers.host}/24`, 'dev', 'switch');
    ip('-n', hub, 'link', 'set', 'switch', 'up');
    for (const [rank, { inside, address }] of this.ranks.entries()) {
      const peer = ['type', 'veth', 'peer', 'name', 'cable', 'netns', inside.namespace];
      ip('-n', hub, 'link', 'add', 'name', `port${rank}`, ...peer);
      ip('-n', hub, 'link', 'set', `port${rank}`, 'master', 'switch');
      const host = address.slice(0, address.indexOf(':'));
      ip('-n', inside.namespace, 'address', 'add', `${host}/24`, 'dev', 'cable');
      ip('-n', inside.namespace, 'link', 'set', 'cable', 'up');
      this.mend(rank);
    }
  }
}

function ip(...args: string[]): void {
  const { status, stderr, error } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status === 0) return;
  throw new Error(`ip ${args.join(' ')}: ${error?.message ?? stderr.trim()}`);
}
