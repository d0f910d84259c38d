/** A server and a client of one kind, a process each. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { engineEnvironment } from '../../services/setup/engineEnvironment.mjs';
import { MeasuredProcess } from '../support/measuredProcess.js';
import type { RunAnswer } from './answerClient.js';
import type { AnswerSize } from './cases.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));

export class Pair {
  /** What the client says of itself. */
  readonly engine: string | undefined;
  readonly #server: MeasuredProcess;
  readonly #client: MeasuredProcess;

  /** This project's. */
  static cirkd(size: AnswerSize): Promise<Pair> {
    const env = { ...process.env, CUDA_VISIBLE_DEVICES: '' };
    const withEngine = { ...env, ...engineEnvironment(env) };
    const text = JSON.stringify(size);
    return Pair.#start(module('answerServer.ts', [text], withEngine), (address) =>
      module('answerClient.ts', [address, text], withEngine),
    );
  }

  /** grpc-js alone, with V8 as Node.js starts it or as this project's services set it. */
  static bare(...heap: ['less garbage'?]): Promise<Pair> {
    return Pair.#start(module('bareServer.ts', heap, process.env), (address) =>
      module('bareClient.ts', [address, ...heap], process.env),
    );
  }

  /** grpc's C core. @param grpcio folder of its packages */
  static core(grpcio: string): Promise<Pair> {
    const env = { ...process.env, PYTHONPATH: grpcio, PYTHONDONTWRITEBYTECODE: '1' };
    const peer = (...args: string[]) =>
      new MeasuredProcess(`grpcio ${args[0]}`, 'python3', [join(HERE, 'peer.py'), ...args], env);
    return Pair.#start(peer('serve'), (address) => peer('pull', address));
  }

  static async #start(
    server: MeasuredProcess,
    startClient: (address: string) => MeasuredProcess,
  ): Promise<Pair> {
    const { port } = (await server.first()) as { port: number };
    const client = startClient(`127.0.0.1:${port}`);
    const { engine } = (await client.first()) as { engine?: string };
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
    return ((await this.#client.ask(request)) as RunAnswer).ms;
  }

  async close(): Promise<void> {
    await this.#client.close();
    await this.#server.close();
  }
}

function module(
  file: string,
  args: (string | undefined)[],
  env: NodeJS.ProcessEnv,
): MeasuredProcess {
  const program = [
    '--import',
    'tsx',
    join(HERE, file),
    ...args.filter((each) => each !== undefined),
  ];
  return new MeasuredProcess(file, process.execPath, program, env);
}
