/**
 * What ranks say to one another before TensorFlow's server is open, on the port that it will take: the caller sends
 * a line of JSON, and gets lines back until one that is final.
 */
import { connect, type Socket } from 'node:net';
import { z } from 'zod';

const helloSchema = z.object({
  /** Other programs' messages lack it. */
  cirkd: z.literal('roll call'),
  /** Drawn by each process, to tell two with the same index apart. */
  process: z.string(),
  workers: z.array(z.string()),
  index: z.number().int().nonnegative(),
  /** Why the caller ends, if it does and wants the others to know. */
  fault: z.string().optional(),
});

const replySchema = z.discriminatedUnion('kind', [
  /** All are there, with the same list. */
  z.object({ kind: z.literal('join') }),
  /** Not final: rank 0 still waits for these ranks. */
  z.object({ kind: z.literal('waiting'), ranks: z.array(z.number().int().nonnegative()) }),
  /** isCallers: the fault was found in the caller's hello; otherwise in another rank's. */
  z.object({ kind: z.literal('fault'), text: z.string(), isCallers: z.boolean() }),
  z.object({ kind: z.literal('missing'), text: z.string() }),
  /** The caller wanted rank 0, and this is another one; it may try again. */
  z.object({ kind: z.literal('not_first'), text: z.string() }),
]);

export type Hello = z.infer<typeof helloSchema>;
export type Reply = z.infer<typeof replySchema>;

/** Longer than the list of the largest group. */
const MOST_BYTES = 2 ** 20;
/** Time for a caller to say who it is. */
const HELLO_MS = 5000;
/** Time for another rank to be found and to answer: some name servers take seconds to be given up. */
const ANSWER_MS = 15_000;

/** The first line of a caller; null if it isn't a rank. */
export async function readHello(socket: Socket): Promise<Hello | null> {
  const line = await firstLine(socket);
  const parsed = line === null ? null : helloSchema.safeParse(jsonOf(line));
  return parsed?.success === true ? parsed.data : null;
}

export function send(socket: Socket, message: Reply): void {
  const text = `${JSON.stringify(message)}\n`;
  if (message.kind === 'waiting') socket.write(text);
  else socket.end(text);
}

export interface CallOptions {
  /** Ends the call. */
  readonly signal: AbortSignal;
  /** Default: as long as the other one takes. */
  readonly limitMs?: number;
  /** Time without a word after the first one; default: any. */
  readonly silenceMs?: number;
  /** Is told whom rank 0 waits for. */
  readonly waiting?: (ranks: readonly number[]) => void;
}

/** Says hello at `address` and resolves with the final reply; null: nobody there, or gone before that. */
export async function call(
  address: string,
  hello: Hello,
  { signal, limitMs, silenceMs, waiting = () => {} }: CallOptions,
): Promise<Reply | null> {
  const socket = connect({ ...partsOf(address), noDelay: true, keepAlive: true });
  const close = () => socket.destroy();
  signal.addEventListener('abort', close);
  let unanswered: NodeJS.Timeout | undefined = setTimeout(close, ANSWER_MS);
  const late = limitMs === undefined ? undefined : setTimeout(close, limitMs);
  socket.on('error', () => {});
  try {
    socket.write(`${JSON.stringify(hello)}\n`);
    for await (const line of linesOf(socket)) {
      const reply = replySchema.safeParse(jsonOf(line));
      if (!reply.success) return null;
      clearTimeout(unanswered);
      unanswered = silenceMs === undefined ? undefined : setTimeout(close, silenceMs);
      if (reply.data.kind !== 'waiting') return reply.data;
      waiting(reply.data.ranks);
    }
    return null;
  } finally {
    clearTimeout(unanswered);
    clearTimeout(late);
    signal.removeEventListener('abort', close);
    socket.destroy();
  }
}

/** Resolves when both ends have closed it. */
export function closeOf(socket: Socket): Promise<void> {
  if (socket.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
    if (!socket.writableEnded) socket.end();
  });
}

export function partsOf(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
  return { host, port: Number(address.slice(colon + 1)) };
}

/** Without its end; null: closed, too long or too late. */
function firstLine(socket: Socket): Promise<string | null> {
  return new Promise((resolve) => {
    let text = '';
    const late = setTimeout(() => done(null), HELLO_MS);
    const done = (line: string | null) => {
      clearTimeout(late);
      resolve(line);
    };
    socket.setEncoding('utf8');
    socket.on('data', (part: string) => {
      // What follows the first line is read and ignored, so that the connection's end is noticed.
      text = text.length > MOST_BYTES ? text : text + part;
      const end = text.indexOf('\n');
      if (end >= 0) done(text.slice(0, end));
      else if (text.length > MOST_BYTES) done(null);
    });
    socket.once('close', () => done(null));
  });
}

/** To the connection's end, whatever ends it. */
async function* linesOf(socket: Socket): AsyncGenerator<string> {
  let text = '';
  try {
    for await (const part of socket.setEncoding('utf8')) {
      const lines = `${text}${part}`.split('\n');
      text = lines.pop()!;
      yield* lines;
    }
  } catch {
    // Refused, reset or closed by this process.
  }
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
