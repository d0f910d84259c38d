/** An engine that answers when a test lets it. */
import { SimulatedNetwork } from '../../../services/teacher/simulateEngine.js';
import type { EncodedTensor } from '../../../src/contract/encodedTensor.js';
import type { InferenceImage } from '../../../src/contract/inference.js';
import type { EncodedOutput, OutputRequest } from '../../../src/contract/outputs.js';
import type { TeacherInfo } from '../../../src/contract/teacherInfo.js';
import type { InferenceEngine } from '../../../src/stream/server/serving.js';

type Results = Array<EncodedOutput[] | Error>;

export class GatedEngine implements InferenceEngine {
  /** First byte of each image, one list a batch, in the order in which batches started. */
  readonly batches: number[][] = [];
  /** What becomes of an image, by its first byte. */
  readonly faults = new Map<number, Error>();
  readonly #network: SimulatedNetwork;
  readonly info: TeacherInfo;
  readonly classifier: EncodedTensor | null;
  readonly #gates: (() => void)[] = [];
  #open: boolean;

  constructor(open: boolean, featureChannels = 8) {
    this.#open = open;
    const sizes = { classes: 3, featureChannels, outputStride: 8 };
    this.#network = new SimulatedNetwork({ ...sizes, seed: 0, latencyMs: 0, imageMs: 0 });
    this.info = this.#network.info;
    this.classifier = this.#network.classifier();
  }

  async infer(
    images: readonly InferenceImage[],
    outputs: readonly OutputRequest[],
  ): Promise<Results> {
    this.batches.push(images.map(({ rgb }) => rgb[0] ?? -1));
    if (!this.#open) await new Promise<void>((resolve) => this.#gates.push(resolve));
    const own = images.map((one) => ({ ...one, rgb: new Uint8Array(one.rgb) }));
    return this.#network
      .infer(own, outputs)
      .map((answer, index) => this.faults.get(own[index]?.rgb[0] ?? -1) ?? answer);
  }

  /** Lets the batch go that has waited longest. */
  releaseOne(): void {
    this.#gates.shift()?.();
  }

  /** Lets everything go, now and later. */
  open(): void {
    this.#open = true;
    for (const release of this.#gates.splice(0)) release();
  }

  async close(): Promise<void> {
    this.open();
  }
}
