/** The teacher's side: a server whose answers are ready, as if the network took no time. */
import { expectBulkBuffers } from '../../services/program/bulkHeap.js';
import { serverLimits } from '../../services/teacher/options.js';
import { SimulatedNetwork } from '../../services/teacher/simulateEngine.js';
import { loadConfig } from '../../src/config/load.js';
import { teacherSchema } from '../../src/config/teacher.js';
import { type InferenceEngine, silentHooks } from '../../src/stream/server/serving.js';
import type { InferenceImage } from '../../src/contract/inference.js';
import type { EncodedOutput } from '../../src/contract/outputs.js';
import { TeacherInferenceService } from '../../src/oip/server/inferenceService.js';
import { TeacherServer } from '../../src/stream/server/teacherServer.js';
import { endWithInput, sendLine } from '../support/linesOfInput.js';
import { type AnswerSize, CHUNK_BYTES } from './cases.js';

/** Its answers are made once for each way of sending; the same buffers are sent again and again. */
function readyEngine({ classes, channels }: AnswerSize): InferenceEngine {
  const network = new SimulatedNetwork({
    ...{ classes, featureChannels: channels, outputStride: 1 },
    ...{ latencyMs: 0, imageMs: 0, seed: 1 },
  });
  const ready = new Map<string, EncodedOutput[]>();
  return {
    info: network.info,
    classifier: network.classifier(),
    async infer(images, outputs) {
      const key = JSON.stringify(outputs);
      const [image] = images as [InferenceImage];
      const made =
        ready.get(key) ??
        network.infer([{ ...image, rgb: new Uint8Array(image.rgb) }], outputs)[0]!;
      ready.set(key, made);
      return images.map(() => made);
    },
    async close() {},
  };
}

expectBulkBuffers();
const size = JSON.parse(process.argv[2]!) as AnswerSize;
const config = loadConfig(teacherSchema, {
  text: JSON.stringify({ simulate: { enabled: true }, limits: { chunkBytes: CHUNK_BYTES } }),
  fileName: 'bench/transport',
});
const { encodings, batch, oip } = config;
const limits = serverLimits(config);
const inference = new TeacherInferenceService({
  ...{ modelName: oip.modelName, serverVersion: 'bench', encodings, batch, limits },
  onRequest() {},
  onUnexpected(error) {
    throw error;
  },
});
const server = new TeacherServer({
  ...{ host: '127.0.0.1', port: 0, limits, encodings, batch },
  hooks: silentHooks,
  services: [inference],
});
const { port } = await server.listen();
server.serve(readyEngine(size));
sendLine({ port });
await endWithInput();
