/** The inside of a measured process (measuredProcess.ts): lines of JSON in, lines of JSON out. */
import { createInterface } from 'node:readline';

/** Answers each request in turn; ends the process with its input. */
export async function answerRequests<Request>(
  answer: (request: Request) => Promise<object> | object,
): Promise<never> {
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line) as Request))}\n`);
  }
  process.exit(0);
}

/** For a server, which isn't asked anything. */
export function endWithInput(): Promise<never> {
  return answerRequests(() => ({}));
}
