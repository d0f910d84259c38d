/** A DNS server on 127.0.0.1, port 0, that answers what the test says: A records over UDP. */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

const TYPE_A = 1;
const RCODE = { none: 0, serverFailure: 2, noSuchName: 3 } as const;

/** The IPv4 addresses behind a name; `failing`: SERVFAIL; `silent`: no word. */
export type Zone = readonly string[] | 'failing' | 'silent';

export class DnsServer {
  /** Names that were asked for, one for each question for A records. */
  readonly questions: string[] = [];
  readonly #socket: Socket;
  readonly #zones: Map<string, Zone>;

  private constructor(socket: Socket, zones: Record<string, Zone>) {
    this.#socket = socket;
    this.#zones = new Map(Object.entries(zones));
    socket.on('message', (message, peer) => this.#receive(message, peer));
  }

  static async start(zones: Record<string, Zone>): Promise<DnsServer> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new DnsServer(socket, zones);
  }

  /** As the authority of a dns: address. */
  get address(): string {
    return `127.0.0.1:${(this.#socket.address() as AddressInfo).port}`;
  }

  set(name: string, zone: Zone): void {
    this.#zones.set(name, zone);
  }

  close(): void {
    this.#socket.close();
  }

  #receive(message: Buffer, peer: RemoteInfo): void {
    const { name, end } = readName(message, 12);
    const isA = message.readUInt16BE(end) === TYPE_A;
    if (isA) this.questions.push(name);
    const zone = this.#zones.get(name);
    if (zone === 'silent') return;
    const code =
      zone === 'failing' ? RCODE.serverFailure : zone === undefined ? RCODE.noSuchName : RCODE.none;
    const ips = isA && Array.isArray(zone) ? (zone as readonly string[]) : [];
    const head = Buffer.from(message.subarray(0, end + 4));
    // A response, authoritative, recursion as it was wished for and available.
    head.writeUInt16BE(0x8480 | (message.readUInt16BE(2) & 0x0100) | code, 2);
    head.writeUInt16BE(ips.length, 6);
    head.writeUInt32BE(0, 8);
    this.#socket.send(Buffer.concat([head, ...ips.map(aRecord)]), peer.port, peer.address);
  }
}

function readName(message: Buffer, begin: number): { name: string; end: number } {
  const labels: string[] = [];
  let at = begin;
  for (let length = message[at]!; length > 0; length = message[at]!) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), end: at + 1 };
}

/** The name is the question's; a time to live of 0. */
function aRecord(ip: string): Buffer {
  return Buffer.from([0xc0, 12, 0, TYPE_A, 0, 1, 0, 0, 0, 0, 0, 4, ...ip.split('.').map(Number)]);
}
