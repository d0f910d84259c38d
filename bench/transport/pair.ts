/** A server and a client of one kind, a process each. */
import { engineOnCpu, type MeasuredProcess, startSide } from '../support/measuredProcess.js';
import { pythonEnvironment } from '../support/peerPackages.js';
import type { RunAnswer } from './answerClient.js';
import type { AnswerSize } from './cases.js';

const side = (file: string, args: readonly string[], env: NodeJS.ProcessEnv) =>
  startSide(import.meta.url, file, args, env);

export class Pair {
  /** What the client says of itself. */
  readonly engine: string | undefined;
  readonly #server: MeasuredProcess;
  readonly #client: MeasuredProcess;

  /** This project's. */
  static cirkd(size: AnswerSize): Promise<Pair> {
    const env = engineOnCpu();
    const text = JSON.stringify(size);
    return Pair.#start(side('answerServer.ts', [text], env), (address) =>
      side('answerClient.ts', [address, text], env),
    );
  }

  /** grpc-js alone, with V8 as Node.js starts it or as this project's services set it. */
  static bare(...heap: 'less garbage'[]): Promise<Pair> {
    return Pair.#start(side('bareSide.ts', ['serve', ...heap], process.env), (address) =>
      side('bareSide.ts', [address, ...heap], process.env),
    );
  }

  /** grpc's C core. @param grpcio folder of its packages */
  static core(grpcio: string): Promise<Pair> {
    const peer = (...args: string[]) => side('peer.py', args, pythonEnvironment(grpcio));
    return Pair.#start(peer('serve'), (address) => peer('pull', address));
  }

  static async #start(
    server: MeasuredProcess,
    startClient: (address: string) => MeasuredProcess,
  ): Promise<Pair> {
    const { port } = await server.first<{ port: number }>();
    const client = startClient(`127.0.0.1:${port}`);
    const { engine } = await client.first<{ engine?: string }>();
    return new Pair(server, client, engine);
  }

  private constructor(server: MeasuredProcess, client: MeasuredProcess, engine?: string) {
    this.#server = server;
    this.#client = client;
    this.engine = engine;
  }

  /** Processor time of both so far, threads included; in steps of 10. */
  cpuMs(): number {
    return this.#server.cpuMs() + this.#client.cpuMs();
  }

  /** Milliseconds that it took. */
  async run(request: object): Promise<number> {
    return (await this.#client.ask<RunAnswer>(request)).ms;
  }

  async close(): Promise<void> {
    await this.#client.close();
    await this.#server.close();
  }
}
