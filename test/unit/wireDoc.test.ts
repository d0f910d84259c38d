/** docs/wire.md against the code: which term needs which output, and their sizes. UPDATE_DOCS=1 writes both tables. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  type Encoding,
  hasOutput,
  type NeededOutput,
  type OutputRequest,
} from '../../src/contract/outputs.js';
import { TEACHER_TERMS, TERM_OUTPUTS } from '../../src/contract/terms.js';
import { encodeOutputs } from '../../src/models/teacher/encodeOutputs.js';
import { answerBytes, expectedOutputs } from '../../src/stream/codec/outputShapes.js';
import { requestedOutputs } from '../../src/stream/client/helloOutputs.js';
import { scope, zeros } from '../../src/tensor/index.js';
import { outputSize } from '../../src/wire/checkTensor.js';

const FILE = new URL('../../docs/wire.md', import.meta.url);
const ENCODINGS: readonly Encoding[] = ['fp32', 'fp16', 'int8'];
const NEEDED: readonly NeededOutput[] = ['logits', 'embedding', 'feature_norm', 'aux_norm'];

interface Shape {
  readonly name: string;
  readonly height: number;
  readonly width: number;
  readonly classes: number;
  readonly featureChannels: number;
  readonly outputStride: number;
  readonly hasAuxLogits: boolean;
}

const CITYSCAPES: Shape = {
  name: 'Cityscapes, DeepLabV3-ResNet-101',
  ...{ height: 512, width: 1024, classes: 19, featureChannels: 512, outputStride: 8 },
  hasAuxLogits: true,
};

const SHAPES: readonly Shape[] = [
  CITYSCAPES,
  {
    name: 'Cityscapes, SegFormer-B5',
    ...{ height: 512, width: 1024, classes: 19, featureChannels: 768, outputStride: 4 },
    hasAuxLogits: false,
  },
  {
    name: 'VOC 2012, DeepLabV3-ResNet-101',
    ...{ height: 512, width: 512, classes: 21, featureChannels: 512, outputStride: 8 },
    hasAuxLogits: true,
  },
  {
    name: 'ADE20K, PSPNet-ResNet-101',
    ...{ height: 512, width: 512, classes: 150, featureChannels: 512, outputStride: 8 },
    hasAuxLogits: true,
  },
  {
    name: 'CamVid, DeepLabV3-MobileNetV2',
    ...{ height: 360, width: 480, classes: 11, featureChannels: 128, outputStride: 8 },
    hasAuxLogits: false,
  },
];

/** Bytes of each request's tensor, as a teacher's encoder makes it. */
function encodedBytes(shape: Shape, requests: readonly OutputRequest[]): number[] {
  const [h, w] = outputSize(shape.height, shape.width, shape.outputStride);
  const encoded = scope(() => {
    const logits = zeros([h, w, shape.classes]);
    const feature = zeros([h, w, shape.featureChannels]);
    return encodeOutputs({ logits_hwK: logits, feature_hwD: feature, aux_hwK: logits }, requests);
  });
  if (encoded instanceof Error) throw encoded;
  return encoded.map(({ tensor }) => tensor.data.byteLength);
}

function bytesOf(shape: Shape, outputs: readonly NeededOutput[], encoding: Encoding): number {
  const requests = requestedOutputs({ outputs, encoding, logits: 'sent' });
  const bytes = encodedBytes(shape, requests).reduce((sum, one) => sum + one, 0);
  // What both ends of the stream derive from hello and welcome, for credits and limits.
  assert.equal(bytes, answerBytes(expectedOutputs(shape, shape, requests)));
  return bytes;
}

const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;

function termsTable(): string {
  const head = ['term', ...NEEDED.map((name) => `\`${name}\``), ...ENCODINGS];
  const rule = ['---', ...NEEDED.map(() => ':---:'), ...ENCODINGS.map(() => '---:')];
  const rows = TEACHER_TERMS.map((term) => {
    const outputs = TERM_OUTPUTS[term];
    const marks = NEEDED.map((output) => (outputs.includes(output) ? '×' : ''));
    const sizes = ENCODINGS.map((encoding) =>
      (bytesOf(CITYSCAPES, outputs, encoding) / 2 ** 20).toFixed(2),
    );
    return row([`\`${term}\``, ...marks, ...sizes]);
  });
  return [row(head), row(rule), ...rows].join('\n');
}

function bytesTable(): string {
  const head = ['crop, teacher', 'positions', 'encoding', ...NEEDED.map((name) => `\`${name}\``)];
  const rule = ['---', '---', '---', ...NEEDED.map(() => '---:')];
  const rows = SHAPES.flatMap((shape) => {
    const { name, height, width, classes, featureChannels, outputStride } = shape;
    const [h, w] = outputSize(height, width, outputStride);
    const channels = `${classes} classes, ${featureChannels} channels`;
    return ENCODINGS.map((encoding) =>
      row([
        ...[`${name}, ${height}×${width}`, `${h}×${w}; ${channels}`, encoding],
        ...NEEDED.map((output) =>
          hasOutput(shape, output) ? bytesOf(shape, [output], encoding).toLocaleString('en') : '–',
        ),
      ]),
    );
  });
  return `${[row(head), row(rule), ...rows].join('\n')}\n\nAn int8 embedding includes its scales; with \`int8\`, logits are fp16.`;
}

const SECTIONS = { terms: termsTable, bytes: bytesTable } as const;

for (const [name, table] of Object.entries(SECTIONS)) {
  test(`docs/wire.md: the section ${name} is what the code says`, () => {
    const text = readFileSync(FILE, 'utf8');
    const [begin, end] = [`<!-- ${name}: begin -->\n`, `<!-- ${name}: end -->`];
    const from = text.indexOf(begin) + begin.length;
    const to = text.indexOf(end);
    assert.ok(from >= begin.length && to >= from, `no section ${name}`);
    const wanted = `${table()}\n`;
    if (process.env.UPDATE_DOCS === '1') {
      writeFileSync(FILE, text.slice(0, from) + wanted + text.slice(to));
    } else assert.equal(text.slice(from, to), wanted, 'UPDATE_DOCS=1 writes it');
  });
}
