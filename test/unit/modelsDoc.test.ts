/** docs/models.md against the table of networks: UPDATE_DOCS=1 writes its rows. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Variant } from '../../src/models/spec.js';
import { isSegformer } from '../../src/models/segformer.js';
import { ZOO, type ZooEntry } from '../../src/models/zoo.js';
import { networkEntries } from '../support/modelFiles/networkEntries.js';

const FILE = new URL('../../docs/models.md', import.meta.url);
const CLASSES = 19;
const [BEGIN, END] = ['<!-- zoo: begin -->\n', '<!-- zoo: end -->'];

const official = JSON.parse(
  readFileSync(new URL('../golden/data/state_dicts.json', import.meta.url), 'utf8'),
) as Record<string, { parameters?: number; same_as?: string }>;

function parametersOf({ model, backbone }: ZooEntry, variant: Variant): number {
  const spec = { model, backbone, variant, numClasses: CLASSES, widthMultiplier: 1 };
  return networkEntries(spec)
    .filter(([, , , kind]) => kind === 'param')
    .reduce((sum, [, shape]) => sum + shape.reduce((size, length) => size * length, 1), 0);
}

const VARIANTS = ['v1', 'v2'] as const;

/** What test/interop/segformer.test.ts does with it. */
function segformerCheck({ model, backbone }: ZooEntry): string {
  const compared = ['hf_segformer mit_b2', 'mmseg_segformer mit_b1'];
  if (backbone === 'mit_b0' || compared.includes(`${model} ${backbone}`)) return 'packages';
  return model === 'segformer' ? '–' : 'names';
}

function row(entry: ZooEntry): string {
  const { model, backbone, stem, featureChannels } = entry;
  const isOfficial = `${model}-${backbone}/v1` in official;
  const isPackaged = /^(torchvision|mmseg)_/.test(model);
  const cells = [
    `\`${model}\``,
    `\`${backbone}\``,
    stem ?? '–',
    ...VARIANTS.map((variant) => featureChannels[variant]),
    ...VARIANTS.map((variant) => parametersOf(entry, variant).toLocaleString('en')),
    isSegformer(model)
      ? segformerCheck(entry)
      : isOfficial
        ? 'golden, interop'
        : isPackaged
          ? 'packages'
          : 'interop',
  ];
  return `| ${cells.join(' | ')} |`;
}

function table(): string {
  const head = [
    '| model | backbone | stem | feature v1 | feature v2 | parameters v1 | parameters v2 | checked by |',
    '| --- | --- | --- | ---: | ---: | ---: | ---: | --- |',
  ];
  return `${[...head, ...ZOO.map(row)].join('\n')}\n`;
}

test('docs/models.md has every network of the zoo', () => {
  const text = readFileSync(FILE, 'utf8');
  const [from, to] = [text.indexOf(BEGIN) + BEGIN.length, text.indexOf(END)];
  assert.ok(from >= BEGIN.length && to >= from, 'docs/models.md lacks the marks of its table');
  if (process.env.UPDATE_DOCS === '1') {
    writeFileSync(FILE, `${text.slice(0, from)}${table()}${text.slice(to)}`);
  } else {
    assert.equal(text.slice(from, to), table());
  }
});

test('parameters of the official networks are those of the official code', () => {
  const counted = ZOO.flatMap((entry) =>
    VARIANTS.map((variant) => {
      const key = `${entry.model}-${entry.backbone}/${variant}`;
      return [key, parametersOf(entry, variant)] as const;
    }),
  );
  const known = Object.entries(official).map(([key, { parameters, same_as }]) => {
    return [key, parameters ?? official[same_as!]!.parameters] as const;
  });
  assert.ok(known.length >= 12, `${known.length} official networks`);
  const byKey = new Map(counted);
  for (const [key, parameters] of known) assert.equal(byKey.get(key), parameters, key);
});
