/** A server of the Open Inference Protocol that others wrote, as processes that a test kills and brings back. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { InferenceService } from '../../../../src/oip/codec/inferenceService.js';
import { DIRECT } from '../../connections/grpcProbes.js';
import { eventually } from '../../eventually.js';

/** Opening a model's packages on a busy machine. */
const SLOW_MS = 120_000;
const ASK_MS = 2000;

export interface PeerCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
}

export interface PeerServerOptions {
  /** For messages. */
  readonly name: string;
  readonly command: PeerCommand;
  /** Of gRPC, at 127.0.0.1. */
  readonly port: number;
  /** It is ready when these are. */
  readonly models: readonly string[];
  /** Default: plaintext. */
  readonly credentials?: ChannelCredentials;
  /** After each end of its processes. */
  readonly cleanUp: () => void;
  /** When it is closed: removes its files. */
  readonly remove: () => void;
}

export class PeerServer {
  static readonly #running = new Set<PeerServer>();

  readonly port: number;
  readonly #options: PeerServerOptions;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #said = '';

  static async start(options: PeerServerOptions): Promise<PeerServer> {
    const server = new PeerServer(options);
    PeerServer.#running.add(server);
    await server.restart();
    return server;
  }

  /** For afterEach: whatever a test left running. */
  static async killAll(): Promise<void> {
    await Promise.all([...PeerServer.#running].map((server) => server.close()));
  }

  private constructor(options: PeerServerOptions) {
    this.port = options.port;
    this.#options = options;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** What the present process has written so far. */
  get said(): string {
    return this.#said;
  }

  /** Process id of the server itself. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Another process at the same address; resolves when every model is ready. */
  async restart(): Promise<void> {
    if (this.#child !== undefined) throw new Error(`${this.#options.name} runs already`);
    this.launch();
    await this.ready();
  }

  /** Another process at the same address, which isn't waited for. */
  launch(): void {
    const { program, args, env, cwd } = this.#options.command;
    // A group of its own: the processes that it starts for its models are killed with it.
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...{ env, cwd, detached: true },
    });
    this.#said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (text) => {
        this.#said += text;
      });
    }
    this.#child = child;
    process.once('exit', this.#abandon);
    this.#ended = new Promise<void>((resolve) => {
      child.once('error', (error) => {
        this.#said += error.message;
        resolve();
      });
      child.once('close', () => resolve());
    }).then(() => {
      process.off('exit', this.#abandon);
      this.#child = undefined;
      this.#options.cleanUp();
    });
  }

  /** Throws with what it said where it ends or isn't ready in time. */
  async ready(): Promise<void> {
    const { name } = this.#options;
    const found = async () => this.#child === undefined || (await this.#modelsReady());
    await eventually(found, SLOW_MS).catch(() => {
      throw new Error(`${name} is not ready after ${SLOW_MS / 1000} s; it said\n${this.#said}`);
    });
    if (this.#child === undefined) throw new Error(`${name} ended; it said\n${this.#said}`);
  }

  /** kill -9 of it and of what it started; resolves when they are gone. */
  async kill(): Promise<void> {
    this.#killGroup();
    await this.#ended;
  }

  /** SIGTERM, as a cluster stops it; resolves when it has ended. */
  async stop(): Promise<void> {
    this.#child?.kill('SIGTERM');
    await this.#ended;
  }

  async close(): Promise<void> {
    await this.kill();
    PeerServer.#running.delete(this);
    this.#options.remove();
  }

  /** For the end of this process, where nothing more can be waited for. */
  readonly #abandon = (): void => {
    this.#killGroup();
    this.#options.cleanUp();
    this.#options.remove();
  };

  readonly #killGroup = (): void => {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  };

  async #modelsReady(): Promise<boolean> {
    // A certificate names the host.
    const address = `localhost:${this.port}`;
    const how = this.#options.credentials ?? credentials.createInsecure();
    const client = new InferenceService(address, how, DIRECT);
    const isReady = (name: string) =>
      new Promise<boolean>((resolve) => {
        const options = { deadline: Date.now() + ASK_MS };
        client.modelReady({ name }, options, (_, answer) => resolve(answer?.ready === true));
      });
    const ready = await Promise.all(this.#options.models.map(isReady));
    client.close();
    return ready.every(Boolean);
  }
}

/** One that nothing listens on just now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
