/** Properties of a graph: the keys of a teacher's `graph`, and of the YAML file beside a graph. */
import { z } from 'zod';
import type { ConfigSchema, CrossFault } from '../fields.js';
import { field, positiveCount, section, text } from '../fields.js';
import { pixelKeys } from './pixelKeys.js';

/** null: detected from the graph; if that is impossible, an error names the missing key. */
const graphKeys = {
  logits: field(
    text().nullable().default(null),
    'The output with the class scores; null: detected from names and shapes.',
    { wanted: "an output's name, or null" },
  ),
  feature: field(
    text().nullable().default(null),
    "The output whose 1x1 convolution gives the logits, or one with the logits' size; none: no feature; null: detected from names and shapes.",
    { wanted: "an output's name, none, or null" },
  ),
  layout: field(
    z.enum(['nchw', 'nhwc']).nullable().default(null),
    "Order of the axes of image and outputs; null: detected from the place of the image's 3 channels.",
    { wanted: 'nchw, nhwc, or null' },
  ),
  normalisation: field(
    z.enum(['imagenet', 'official', 'unit', 'none']).nullable().default(null),
    "Form of the graph's input pixels: imagenet (RGB, torchvision's mean and deviation), official (BGR minus the official code's mean), unit (RGB from 0 to 1), none (RGB from 0 to 255).",
    { wanted: 'imagenet, official, unit, none, or null' },
  ),
  ...pixelKeys('graph'),
  classes: field(
    positiveCount().nullable().default(null),
    'Number of channels of the logits; null: taken from the graph.',
    { wanted: 'an integer >= 1, or null' },
  ),
  classNames: field(
    z.array(text()).min(1).nullable().default(null),
    'Names of the classes, in the order of the logits; null: numbered.',
    { wanted: 'a list of names, or null' },
  ),
  outputStride: field(
    positiveCount().nullable().default(null),
    'Input pixels per output position, along each axis; null: detected by a trial run.',
    { wanted: 'an integer >= 1, or null' },
  ),
  alignCorners: field(
    z.boolean().nullable().default(null),
    "How logits are resized to the image: true like PyTorch's align_corners=True, false with half-pixel centres; null: false.",
    { wanted: 'true, false, or null' },
  ),
};

const fileRoot = z.strictObject(graphKeys);

export type GraphFileConfig = z.infer<typeof fileRoot>;

/** The schema of `model.yaml` beside `model.onnx`, and of `cirkd.yaml` in a SavedModel's folder. */
export const graphFileSchema: ConfigSchema<GraphFileConfig> = {
  service: 'graph',
  root: fileRoot,
  crossFaults: (config) => graphKeyFaults(config, ''),
};

/** The section `graph` of the teacher's config. */
export const graphSection = section(
  'A network given as a graph instead of a checkpoint (docs/teachers.md). The keys from logits on can also be given in a YAML file beside the graph; keys here take precedence.',
  {
    onnx: field(
      z
        .string()
        // Letters in pairs, as a JSON Schema has no flags (the chart's values.schema.json).
        .regex(/\.[oO][nN][nN][xX]$/)
        .nullable()
        .default(null),
      'An ONNX file, run by onnxruntime.',
      { wanted: 'the path of an .onnx file, or null', isPath: true },
    ),
    savedModel: field(
      text().nullable().default(null),
      "The folder of a SavedModel, run by TensorFlow's own loader.",
      { wanted: 'the path of a folder, or null', isPath: true },
    ),
    settings: field(
      text().nullable().default(null),
      "The YAML file with the keys below; null: the graph's name with .yaml instead of .onnx, or cirkd.yaml in the SavedModel's folder, if the file exists.",
      { wanted: 'the path of a YAML file, or null', isPath: true },
    ),
    provider: field(
      z.enum(['cpu', 'cuda']).default('cpu'),
      'Device that onnxruntime uses; a SavedModel uses the device of TensorFlow.',
    ),
    ...graphKeys,
  },
);

export type GraphSection = z.infer<typeof graphSection>;

/** Faults of the teacher's `graph` that involve several keys. */
export function graphFaults(graph: GraphSection): CrossFault[] {
  const { onnx, savedModel, settings, provider } = graph;
  const faults = graphKeyFaults(graph, 'graph.');
  const isGiven =
    settings !== null ||
    provider !== 'cpu' ||
    Object.keys(graphKeys).some((key) => graph[key as keyof GraphFileConfig] !== null);
  if (onnx === null && savedModel === null && isGiven) {
    faults.push({
      keys: ['graph.onnx', 'graph.savedModel'],
      message: 'neither given, wanted one of them, as other keys of graph are given',
    });
  }
  if (savedModel !== null && provider !== 'cpu') {
    faults.push({
      keys: ['graph.provider', 'graph.savedModel'],
      message: `got ${provider}, which is for graph.onnx: a SavedModel uses the device of TensorFlow`,
    });
  }
  return faults;
}

function graphKeyFaults(graph: GraphFileConfig, prefix: string): CrossFault[] {
  const faults: CrossFault[] = [];
  const { normalisation, classes, classNames } = graph;
  const own = (['pixelMean', 'pixelStd', 'channelOrder'] as const).filter(
    (key) => graph[key] !== null,
  );
  if (normalisation !== null && own.length > 0) {
    faults.push({
      keys: [`${prefix}normalisation`, `${prefix}${own[0]}`],
      message: `got ${normalisation} beside ${own.join(', ')}, wanted one or the other`,
    });
  }
  if (classes !== null && classNames !== null && classes !== classNames.length) {
    faults.push({
      keys: [`${prefix}classes`, `${prefix}classNames`],
      message: `got ${classes}, but classNames has ${classNames.length}`,
    });
  }
  return faults;
}
