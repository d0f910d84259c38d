/** Settings of a graph: the teacher's config takes precedence over the graph's YAML file; faults name the key. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { graphSource } from '../../services/teacher/graphSource.js';
import { ConfigError } from '../../src/config/configError.js';
import { loadConfig } from '../../src/config/load.js';
import { teacherSchema } from '../../src/config/teacher.js';
import { normalisationOf } from '../../src/graphs/graphSettings.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-graph-source-'));
after(() => rmSync(folder, { recursive: true }));
const onnx = join(folder, 'model.onnx');

function sourceOf(...overrides: string[]) {
  const config = loadConfig(teacherSchema, { text: '', fileName: 'some.yaml', overrides });
  return graphSource(config.graph, config.threads);
}

function faultsOf(...overrides: string[]): string {
  try {
    sourceOf(...overrides);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message;
  }
  return assert.fail('no ConfigError');
}

const graph = `graph.onnx=${onnx}`;
const beside = (text: string) => writeFileSync(join(folder, 'model.yaml'), text);

test("the config takes precedence over the graph's file", () => {
  rmSync(join(folder, 'model.yaml'), { force: true });
  assert.equal(sourceOf(graph)?.given.settings.normalisation, null);
  beside('normalisation: unit\nclasses: 5\noutputStride: 8\n');
  const given = sourceOf(graph, 'graph.classes=7', 'threads=3')!;
  assert.equal(given.threads, 3);
  assert.equal(given.format, 'onnx');
  const { settings, origins } = given.given;
  assert.deepEqual(
    [settings.normalisation, settings.classes, settings.outputStride],
    ['unit', 7, 8],
  );
  assert.deepEqual(origins, {
    normalisation: 'model.yaml',
    classes: 'config',
    outputStride: 'model.yaml',
  });
});

test("a normalisation in the config replaces the file's as a whole, name or parts", () => {
  beside('pixelMean: [1, 2, 3]\npixelStd: [1, 1, 1]\nchannelOrder: bgr\n');
  const named = sourceOf(graph, 'graph.normalisation=unit')!.given.settings;
  assert.deepEqual(normalisationOf(named)?.pixelStd, [255, 255, 255]);
  beside('normalisation: unit\n');
  const parts = ['pixelMean=[1, 2, 3]', 'pixelStd=[4, 5, 6]', 'channelOrder=bgr'];
  const own = sourceOf(graph, ...parts.map((part) => `graph.${part}`))!.given.settings;
  assert.deepEqual(normalisationOf(own), {
    pixelMean: [1, 2, 3],
    pixelStd: [4, 5, 6],
    channelOrder: 'bgr',
  });
});

test('a SavedModel has its settings in its folder; an explicitly named file replaces them', () => {
  const saved = join(folder, 'saved');
  mkdirSync(saved, { recursive: true });
  writeFileSync(join(saved, 'cirkd.yaml'), 'normalisation: official\n');
  const source = sourceOf(`graph.savedModel=${saved}`)!;
  assert.equal(source.format, 'saved_model');
  assert.equal(source.given.settings.normalisation, 'official');
  const other = join(folder, 'other.yaml');
  writeFileSync(other, 'normalisation: none\n');
  const named = sourceOf(`graph.savedModel=${saved}`, `graph.settings=${other}`)!;
  assert.equal(named.given.settings.normalisation, 'none');
});

test('all faults of the file are reported at once, with its name and lines', () => {
  beside('normalization: imagenet\nclasses: many\npixelStd: [1, 0, 1]\n');
  const message = faultsOf(graph);
  assert.match(message, /model\.yaml: 3 faults/);
  assert.match(message, /normalization.*unknown key, did you mean normalisation/);
  assert.match(message, /classes.*got "many", wanted an integer >= 1, or null/);
  assert.match(message, /pixelStd/);
  beside('normalisation: imagenet\nchannelOrder: bgr\nclasses: 2\nclassNames: [a, b, c]\n');
  const across = faultsOf(graph);
  assert.match(across, /got imagenet beside channelOrder/);
  assert.match(across, /classes.*got 2, but classNames has 3/);
  assert.match(faultsOf(graph, `graph.settings=${join(folder, 'no.yaml')}`), /no\.yaml.*ENOENT/s);
});

test('a teacher has exactly one source, and keys under graph require a graph', () => {
  assert.match(faultsOf(), /checkpoint: none given, wanted one of checkpoint, graph\.onnx/);
  assert.match(faultsOf(graph, 'simulate.enabled=true'), /graph\.onnx and simulate\.enabled given/);
  assert.match(faultsOf(graph, 'graph.savedModel=x'), /graph\.onnx and graph\.savedModel given/);
  assert.match(faultsOf('simulate.enabled=true', 'graph.classes=3'), /graph\.onnx: neither given/);
  assert.match(faultsOf('graph.savedModel=x', 'graph.provider=cuda'), /graph\.provider: got cuda/);
  assert.match(faultsOf('graph.onnx=model.pb'), /the path of an \.onnx file, or null/);
});
