/**
 * A TCP link between a student and a teacher that a test can make slow, silent or break: it takes
 * connections on a port of its own and carries the bytes both ways.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A slow link gives its bytes in pieces of this size. */
const PIECE_BYTES = 2048;

export class LinkProxy {
  /** Of answers, over each connection; Infinity: as fast as it goes. */
  bytesPerSecond = Number.POSITIVE_INFINITY;
  /** After so many bytes of answers a connection is reset; Infinity: never. */
  resetAfterBytes = Number.POSITIVE_INFINITY;
  /** Connections that were reset. */
  resets = 0;
  /** Bytes of answers that came through. */
  answerBytes = 0;
  readonly #server: Server;
  readonly #targetPort: number;
  readonly #sockets = new Set<Socket>();
  /** While it is silent: resolves when it isn't any more. */
  #silence: Promise<void> | undefined;
  #speak: () => void = () => {};

  static async start(targetPort: number): Promise<LinkProxy> {
    const proxy = new LinkProxy(targetPort);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  private constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#server = createServer({ allowHalfOpen: true }, (student) => void this.#link(student));
  }

  get address(): string {
    const { port } = this.#server.address() as { port: number };
    return `127.0.0.1:${port}`;
  }

  /** As if the cable were out: nothing comes through, either way, and nobody is told. */
  silence(): void {
    this.#silence ??= new Promise((resolve) => {
      this.#speak = resolve;
    });
  }

  /** What was under way arrives after all, as TCP sends it again. */
  speak(): void {
    this.#silence = undefined;
    this.#speak();
  }

  close(): void {
    this.speak();
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  async #link(student: Socket): Promise<void> {
    this.#keep(student);
    await this.#silence;
    if (student.destroyed) return;
    const teacher = connect({ port: this.#targetPort, host: '127.0.0.1', allowHalfOpen: true });
    this.#keep(teacher);
    student.once('close', () => teacher.destroy());
    // Not destroyed with it: a refused connection is a reset for the student, too.
    teacher.once('close', (hadError) => (hadError ? student.resetAndDestroy() : student.end()));
    void carry(student, teacher, () => this.#silence);
    let passedBytes = 0;
    void carry(teacher, student, async (bytes) => {
      if (Number.isFinite(this.bytesPerSecond)) await sleep((bytes / this.bytesPerSecond) * 1000);
      await this.#silence;
      passedBytes += bytes;
      this.answerBytes += bytes;
      if (passedBytes <= this.resetAfterBytes || student.destroyed) return;
      this.resets += 1;
      student.resetAndDestroy();
    });
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    // What befalls one end is told to the other by its 'close'.
    socket.on('error', () => {});
    socket.once('close', () => this.#sockets.delete(socket));
  }
}

/** Bytes from one socket to the other, each piece after `passes`; no more is read than is written. */
async function carry(
  from: Socket,
  to: Socket,
  passes: (bytes: number) => Promise<void> | undefined,
): Promise<void> {
  try {
    for await (const data of from.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      for (let at = 0; at < data.length; at += PIECE_BYTES) {
        const piece = data.subarray(at, at + PIECE_BYTES);
        await passes(piece.length);
        if (to.destroyed) return;
        if (!to.write(piece)) await Promise.race([once(to, 'drain'), once(to, 'close')]);
      }
    }
    to.end();
  } catch {
    // The connection broke: its 'close' ends the other one.
  }
}
