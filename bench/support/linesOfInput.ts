/** The inside of a measured process (measuredProcess.ts): lines of JSON in, lines of JSON out. */
import { createInterface } from 'node:readline';

/** Unasked, as soon as the process is ready. */
export function sendLine(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

/** Answers each request in turn; ends the process with its input. */
export async function answerRequests<Request>(
  answer: (request: Request) => Promise<object> | object,
): Promise<never> {
  for await (const line of createInterface({ input: process.stdin })) {
    sendLine(await answer(JSON.parse(line) as Request));
  }
  process.exit(0);
}

/** For a server, which isn't asked anything. */
export function endWithInput(): Promise<never> {
  return answerRequests(() => ({}));
}
