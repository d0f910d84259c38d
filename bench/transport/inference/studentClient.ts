/**
 * Our own student's side up to the whole answers: nothing is made of them, as with inferClient.py.
 *
 *     studentClient.ts HOST:PORT|oip://HOST:PORT/MODEL SIZE
 */
import { expectBulkBuffers } from '../../../services/program/bulkHeap.js';
import { OipProtocol } from '../../../src/oip/client/oipConversation.js';
import { NO_OIP_SETTINGS } from '../../../src/oip/client/settings.js';
import { connectBench } from '../../support/benchTeacher.js';
import { answerRequests, sendLine } from '../../support/linesOfInput.js';
import { bytesOf } from '../../wire/cases.js';
import type { AnswerSize } from '../cases.js';
import { answerBytesOf, WIRE_CASE } from './inferenceCases.js';

export interface LoadRequest {
  readonly answers: number;
  /** Images under way. */
  readonly ahead: number;
  /** One stream in place of a call for each image, of tritonclient. */
  readonly stream: boolean;
}

export interface LoadAnswer {
  /** From the first request to the last answer. */
  readonly ms: number;
  /** Of each answer, in the order in which they came. */
  readonly latenciesMs: readonly number[];
}

expectBulkBuffers();
const [address, size] = [process.argv[2]!, JSON.parse(process.argv[3]!) as AnswerSize];
const image = {
  ...{ sample: 'made', augmentationSeed: 0n, height: size.height, width: size.width },
  rgb: new Uint8Array(size.height * size.width * 3).fill(7),
};
const wanted = answerBytesOf(size);
const oip = new OipProtocol({
  settings: { ...NO_OIP_SETTINGS, stream: 'never' },
  trialSize: { height: size.height, width: size.width },
});
const options = { ...WIRE_CASE, expected: { outputStride: 1 } };
const teacher = await connectBench([address], options, [oip]);

sendLine({ engine: `Node.js ${process.versions.node}` });
await answerRequests(async ({ answers, ahead }: LoadRequest): Promise<LoadAnswer> => {
  const latenciesMs: number[] = [];
  let asked = 0;
  const oneAfterAnother = async () => {
    while (asked < answers) {
      asked += 1;
      const sent = performance.now();
      const bytes = bytesOf(await teacher.request(image));
      if (bytes !== wanted) throw new Error(`an answer of ${bytes} bytes, wanted ${wanted}`);
      latenciesMs.push(performance.now() - sent);
    }
  };
  const begin = performance.now();
  await Promise.all(Array.from({ length: ahead }, oneAfterAnother));
  return { ms: performance.now() - begin, latenciesMs };
});
