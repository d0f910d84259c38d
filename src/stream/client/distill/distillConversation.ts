/** Speaks our own protocol: one Distill stream at a time, from its hello to its end. */
import { status } from '@grpc/grpc-js';
import { ContractMismatchError } from '../../../contract/teacher.js';
import { type Endpoint, endpointOf, parseDnsName } from '../../../rpc/target.js';
import { type Admission, Handshake, HandshakeError } from '../contract.js';
import type { Conversation, ConversationEvents, TeacherProtocol } from '../conversation.js';
import { DistillStream } from './distillStream.js';
import { ImageExchange } from './exchange.js';
import type { ClientSettings } from '../options.js';
import { ChunkError } from './replyAssembly.js';
import type { ImageRequest } from '../request.js';
import type { TeacherMessage } from './responseDecoder.js';

/** A live teacher says welcome within this time. */
const WELCOME_TIMEOUT_MS = 10_000;

/** Teachers at host:port, [IPv6]:port or unix:path, and those behind dns: names. */
export const distillProtocol: TeacherProtocol = {
  entry(text) {
    const name = parseDnsName(text);
    if (name === null) return { endpoint: { address: text } };
    return { name, endpointAt: (ip) => endpointOf(name, ip) };
  },
  converse: (...parts) => new DistillConversation(...parts),
};

class DistillConversation implements Conversation {
  readonly greeting: Conversation['greeting'];
  readonly #endpoint: Endpoint;
  readonly #settings: ClientSettings;
  readonly #admission: Admission;
  readonly #events: ConversationEvents;
  readonly #exchange: ImageExchange;
  #stream: DistillStream | undefined;
  /** Undefined once it is complete. */
  #handshake: Handshake | undefined;

  constructor(
    endpoint: Endpoint,
    settings: ClientSettings,
    admission: Admission,
    events: ConversationEvents,
  ) {
    this.#endpoint = endpoint;
    this.#settings = settings;
    this.#admission = admission;
    this.#events = events;
    this.#exchange = new ImageExchange(endpoint.address, settings, events);
    const timeoutMs = Math.min(WELCOME_TIMEOUT_MS, settings.requestTimeoutMs);
    this.greeting = { name: 'welcome', timeoutMs };
  }

  get size(): number {
    return this.#exchange.size;
  }

  open(): void {
    this.#handshake = new Handshake(this.#endpoint.address, this.#settings, this.#admission);
    this.#stream = new DistillStream(this.#endpoint, this.#settings, {
      place: (head) => (this.#handshake === undefined ? this.#exchange.place(head) : undefined),
      onMessage: (message) => this.#receive(message),
      onEnd: (code, details) => this.#events.onEnd(code, details),
    });
    this.#exchange.open(this.#stream);
  }

  send(request: ImageRequest): void {
    this.#exchange.send(request);
  }

  drop(request: ImageRequest): void {
    this.#exchange.drop(request);
  }

  dropAll(): void {
    this.#exchange.dropAll();
  }

  finish(): void {
    this.#stream?.finish();
  }

  cut(): void {
    this.#stream?.destroy();
  }

  end(reason: string): ImageRequest[] {
    return this.#exchange.end(reason);
  }

  #receive(message: TeacherMessage): void {
    if (this.#handshake !== undefined) {
      if (message.kind !== 'unknown') this.#greet(this.#handshake, message);
      return;
    }
    switch (message.kind) {
      case 'welcome':
        this.#broken('a second welcome');
        return;
      case 'tensor':
        this.#exchange.chunk(message.chunk);
        return;
      case 'error':
        this.#exchange.error(message.error);
        return;
      case 'credit':
        this.#events.onCredit(message.bytes);
        return;
      case 'draining':
        this.#events.onDraining(message.graceMs);
        return;
    }
  }

  #greet(handshake: Handshake, message: TeacherMessage): void {
    try {
      const agreement = handshake.receive(message);
      if (agreement === undefined) {
        this.#stream?.grantUpTo(handshake.missingBytes);
        return;
      }
      this.#handshake = undefined;
      this.#events.onAgreed(agreement);
    } catch (error) {
      if (error instanceof ContractMismatchError) {
        this.cut();
        this.#events.onMisfit(error);
      } else if (error instanceof HandshakeError || error instanceof ChunkError) {
        this.#broken(error.message);
      } else throw error;
    }
  }

  /** The peer broke the contract: nothing that follows can be trusted. */
  #broken(what: string): void {
    this.cut();
    this.#events.onEnd(status.INTERNAL, `message: ${what}`);
  }
}
