/** A teacher whose answers are there at once: what a step costs without any teacher. */
import { SimulatedNetwork } from '../../services/teacher/simulateEngine.js';
import type { Teacher, TeacherImage, TeacherReply } from '../../src/contract/teacher.js';
import type { TeacherInfo } from '../../src/contract/teacherInfo.js';
import { replyOf, requestsOf } from '../wire/cases.js';

export const OUTPUTS = requestsOf({ encoding: 'fp16', logits: 'sent' });

export class ImmediateTeacher implements Teacher {
  readonly info: TeacherInfo;
  readonly classifier = null;
  asked = 0;
  readonly #network: SimulatedNetwork;
  /** By sample. */
  readonly #answers = new Map<string, TeacherReply>();

  constructor(classes: number, featureChannels: number) {
    const sizes = { classes, featureChannels, outputStride: 8 };
    this.#network = new SimulatedNetwork({ ...sizes, seed: 0, latencyMs: 0, imageMs: 0 });
    this.info = this.#network.info;
  }

  /** A copy: the buffers go to the computing thread. */
  async request(image: TeacherImage): Promise<TeacherReply> {
    this.asked += 1;
    const own = { ...image, rgb: new Uint8Array(image.rgb) };
    const made =
      this.#answers.get(image.sample) ?? replyOf(this.#network.infer([own], OUTPUTS)[0]!);
    this.#answers.set(image.sample, made);
    return structuredClone(made);
  }

  requestElsewhere(image: TeacherImage): Promise<TeacherReply> {
    return this.request(image);
  }

  async close(): Promise<void> {}
}
