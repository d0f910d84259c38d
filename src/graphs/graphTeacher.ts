/**
 * A teacher on a graph: computes encoded output tensors, as models/teacher/teacherNetwork.ts does with this project's
 * own networks.
 *
 * N images of one size, H W pixels, h w positions of the outputs, K classes, D feature channels.
 */
import { createHash } from 'node:crypto';
import { checkRequest, encodeOutputs } from '../models/teacher/encodeOutputs.js';
import { type EncodedOutput, type OutputRequest, OUTPUTS } from '../contract/outputs.js';
import { normalise } from '../models/normalise.js';
import { batchesOfOneSize, imageOf } from '../models/teacher/teacherNetwork.js';
import { type InferenceImage, RefusedImageError } from '../contract/inference.js';
import type { TeacherInfo } from '../contract/teacherInfo.js';
import { scope, type Tensor } from '../tensor/index.js';
import { CheckpointError } from '../wire/checkpointError.js';
import { outputSize, sameShape } from '../wire/checkTensor.js';
import type { Graph } from './graph.js';
import type { GraphDescription } from './graphDescription.js';
import { readGraph } from './graphReading.js';
import type { GivenSettings } from './graphSettings.js';
import { fromLayout, toLayout } from './trialRun.js';

type Results = (EncodedOutput[] | Error)[];

/** What a graph gives; only what is requested is fetched. */
type GraphOutput = 'logits' | 'feature';

const NUMERIC_MODES = { onnx: 'onnxruntime-fp32', saved_model: 'tensorflow-fp32' } as const;

export class GraphTeacher {
  readonly info: TeacherInfo;
  readonly #graph: Graph;
  readonly #description: GraphDescription;

  /**
   * Takes ownership of the graph and runs it once.
   *
   * @param model the name to show to users
   * @throws CheckpointError listing what doesn't fit and what is missing, without the file's name
   */
  static async open(graph: Graph, given: GivenSettings, model: string): Promise<GraphTeacher> {
    const { missing, faults, description } = await readGraph(graph, given);
    if (description !== null) return new GraphTeacher(graph, description, model);
    await graph.close();
    const asked = missing.map((what) => `missing: ${what}`);
    throw new CheckpointError([...faults, ...asked].join('\n  '));
  }

  private constructor(graph: Graph, description: GraphDescription, model: string) {
    this.#graph = graph;
    this.#description = description;
    const { classes, featureChannels, outputStride, normalisation } = description;
    this.info = {
      digest: digestOf(graph, description),
      model,
      ...{ classes, featureChannels, hasAuxLogits: false, outputStride, ...normalisation },
      alignCorners: description.alignCorners,
      numericMode: NUMERIC_MODES[graph.format],
      classNames: description.classNames,
    };
  }

  /**
   * As TeacherNetwork.infer, except that a graph without a feature gives only logits and that an image may
   * also get a RefusedImageError. Rejects if the graph fails on a batch. One call at a time.
   */
  async infer(
    images: readonly InferenceImage[],
    outputs: readonly OutputRequest[],
  ): Promise<Results> {
    const { isSingle } = this.#description;
    for (const request of outputs) checkRequest(request, this.info);
    const results: Results = [];
    for (const batch of batchesOfOneSize(images)) {
      for (const part of isSingle ? batch.map((image) => [image]) : [batch]) {
        results.push(...(await this.#inferBatch(part, outputs)));
      }
    }
    return results;
  }

  /** Always null: the layers between feature and logits are inside the graph. */
  classifier(): null {
    return null;
  }

  /** Resolves once the graph's memory is freed. */
  dispose(): Promise<void> {
    return this.#graph.close();
  }

  async #inferBatch(
    images: readonly InferenceImage[],
    requests: readonly OutputRequest[],
  ): Promise<Results> {
    const refusal = this.#sizeRefusal(images[0]!);
    if (refusal !== null) return images.map(() => refusal);
    const names = (['logits', 'feature'] as const).filter((name) =>
      requests.some(({ output }) => OUTPUTS[output].of === name),
    );
    const outputs = await this.#run(images, names);
    try {
      const misfit = this.#shapeRefusal(images, names, outputs);
      if (misfit !== null) return images.map(() => misfit);
      return scope(() => {
        const maps = outputs.map((each) => fromLayout(each, this.#description.layout));
        return images.map((_, index) =>
          scope(() => {
            const map = (name: GraphOutput) => {
              const at = names.indexOf(name);
              return at < 0 ? null : imageOf(maps[at]!, index);
            };
            const ofImage = {
              logits_hwK: map('logits'),
              feature_hwD: map('feature'),
              aux_hwK: null,
            };
            return encodeOutputs(ofImage, requests);
          }),
        );
      });
    } finally {
      for (const output of outputs) output.dispose();
    }
  }

  /** The named outputs in the graph's layout; the caller owns them. */
  async #run(images: readonly InferenceImage[], names: readonly GraphOutput[]): Promise<Tensor[]> {
    const { layout, normalisation, logits, feature } = this.#description;
    const { height, width } = images[0]!;
    const image = scope(() => {
      const rgb = images.map((each) => each.rgb);
      return toLayout(normalise({ height, width, rgb }, normalisation), layout);
    });
    try {
      const tensors = names.flatMap((name) => ({ logits, feature })[name] ?? []);
      return await this.#graph.run(image, tensors);
    } finally {
      image.dispose();
    }
  }

  #sizeRefusal({ height, width }: InferenceImage): RefusedImageError | null {
    const [fixedHeight, fixedWidth] = this.#description.size;
    const fits = [fixedHeight ?? height, fixedWidth ?? width];
    if (fits[0] === height && fits[1] === width) return null;
    const wanted = `${fixedHeight ?? 'any'} x ${fixedWidth ?? 'any'}`;
    return new RefusedImageError(
      `image size: ${height} x ${width} given, the teacher's graph takes ${wanted}`,
    );
  }

  #shapeRefusal(
    images: readonly InferenceImage[],
    names: readonly GraphOutput[],
    outputs: readonly Tensor[],
  ): RefusedImageError | null {
    const { layout, classes, featureChannels, outputStride } = this.#description;
    const { height, width } = images[0]!;
    const [h, w] = outputSize(height, width, outputStride);
    for (const [index, output] of outputs.entries()) {
      const name = names[index]!;
      const channels = name === 'logits' ? classes : featureChannels;
      const size = layout === 'nchw' ? [channels, h, w] : [h, w, channels];
      const wanted = [images.length, ...size];
      if (sameShape(output.shape, wanted)) continue;
      return new RefusedImageError(
        `image size: ${height} x ${width} given, for which the graph's ${name} are [${output.shape}], wanted [${wanted}] (outputStride ${outputStride})`,
      );
    }
    return null;
  }
}

function digestOf(graph: Graph, description: GraphDescription): string {
  const { layout, normalisation, logits, feature, outputStride, alignCorners } = description;
  const { pixelMean, pixelStd, channelOrder } = normalisation;
  const settings = [layout, pixelMean, pixelStd, channelOrder, logits, feature];
  const identity = [graph.format, graph.hash, settings, outputStride, alignCorners];
  const hash = createHash('sha256');
  hash.update(JSON.stringify([identity, NUMERIC_MODES[graph.format]]));
  return `sha256:${hash.digest('hex')}`;
}
