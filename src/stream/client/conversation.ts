/**
 * What a link needs of a protocol in which images are sent to a teacher. The link keeps connection
 * attempts, back-off and pauses; a conversation speaks the protocol.
 */
import type { status } from '@grpc/grpc-js';
import type { ContractMismatchError, TeacherReply } from '../../contract/teacher.js';
import type { DnsName, Endpoint } from '../../rpc/target.js';
import type { Admission, Agreement } from './contract.js';
import type { ImageRefusedError } from './errors.js';
import type { ClientSettings, RequeueReason } from './options.js';
import type { ImageRequest } from './request.js';

/** The outcomes of images. */
export interface ImageEvents {
  onAnswered(request: ImageRequest, reply: TeacherReply): void;
  /** The teacher refused the image for good. */
  onRefused(request: ImageRequest, error: ImageRefusedError): void;
  /** `reported`: the teacher itself sent the error, so it is alive; otherwise it was silent or sent garbage. */
  onFailed(request: ImageRequest, reason: RequeueReason, detail: string, reported: boolean): void;
}

export interface ConversationEvents extends ImageEvents {
  /** The teacher fits and takes images from now on. */
  onAgreed(agreement: Agreement): void;
  /** The teacher doesn't fit this student; the conversation has cut the connection. */
  onMisfit(error: ContractMismatchError): void;
  /** The teacher takes so many bytes of pixels more. */
  onCredit(bytes: number): void;
  /** The teacher shuts down. */
  onDraining(graceMs: number): void;
  /** The connection is over, from either side. Not called after cut(). */
  onEnd(code: status, details: string): void;
}

/** Connections to one teacher, one after the other, and the images sent over them. */
export interface Conversation {
  /** What the teacher has to say before it gets images, and how long it may take. */
  readonly greeting: { readonly name: string; readonly timeoutMs: number };
  /** Unanswered images. */
  readonly size: number;
  /** Connects. onAgreed, onMisfit or onEnd follows, never before this returns. */
  open(): void;
  /** Call it after onAgreed only. */
  send(request: ImageRequest): void;
  /** Forgets an image; its answer may still arrive and is then ignored. */
  drop(request: ImageRequest): void;
  dropAll(): void;
  /** No image follows: once all are answered, the connection ends by itself. */
  finish(): void;
  /** Ends the connection at once. */
  cut(): void;
  /** Ends all attempts, as the connection is over; returns their images. */
  end(reason: string): ImageRequest[];
}

/** An entry of the client's addresses: one teacher, or one for each address behind a name. */
export type Entry =
  | { readonly endpoint: Endpoint }
  | { readonly name: DnsName; endpointAt(ip: string): Endpoint };

/** A protocol by which teachers are reached. */
export interface TeacherProtocol {
  /** null: the text is no address of this protocol. Throws RangeError for a malformed one. */
  entry(text: string): Entry | null;
  converse(
    endpoint: Endpoint,
    settings: ClientSettings,
    admission: Admission,
    events: ConversationEvents,
  ): Conversation;
}
