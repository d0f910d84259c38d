/** CIRKDv2's block of graph convolution beside PyTorch: output and every gradient, in training mode. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { StagedBuffers } from '../../src/models/buffers.js';
import { GRAPH_CONVOLUTION, GraphConvolution } from '../../src/models/graphConvolution.js';
import { initialWeights } from '../../src/models/initialise.js';
import { drawsFor } from '../../src/random/draws.js';
import { float32, readFloat32, scope, Tape } from '../../src/tensor/index.js';
import { torchPeer } from '../support/peers/torchPeer.js';

const PEER = fileURLToPath(new URL('graphConvolutionPeer.py', import.meta.url));
/** Odd sizes, and an odd number of channels: its half is rounded down. */
const SHAPES = [
  [2, 5, 7, 9],
  [1, 8, 16, 12],
] as const;

function uniform(shape: readonly number[], stream: number): Float32Array {
  const values = new Float32Array(shape.reduce((product, length) => product * length, 1));
  drawsFor(4, 'test', stream).fillUniform(values, -1, 1);
  return values;
}

for (const shape of SHAPES) {
  test(`[${shape}]: PyTorch's output and gradients`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cirkd-graph-convolution-'));
    const block = new GraphConvolution(shape[3], initialWeights(3));
    try {
      const prefix = `${GRAPH_CONVOLUTION}.`;
      const shapes: Record<string, readonly number[]> = { x: shape, dy: shape };
      const [x, dy] = [uniform(shape, 1), uniform(shape, 2)];
      writeFileSync(join(folder, 'x.f32'), x);
      writeFileSync(join(folder, 'dy.f32'), dy);
      const weights = block.parameters().map(({ name }) => name.slice(prefix.length));
      const state = block.stateDict();
      for (const name of weights) {
        const tensor = state.get(`${prefix}${name}`)!;
        shapes[name] = tensor.shape;
        writeFileSync(join(folder, `${name}.f32`), tensor.data);
      }
      const plan = join(folder, 'plan.json');
      writeFileSync(plan, JSON.stringify({ folder, shapes, weights }));
      await torchPeer(PEER, plan);

      const got = scope(() => {
        const tape = new Tape(true);
        const input = tape.leaf(float32(x, shape));
        const context = { tape, training: true, dropoutSeed: null, staged: new StagedBuffers() };
        const out = block.forward(context, input);
        const value = readFloat32(out.value);
        const { leaves, parameters } = tape.backward([[out, float32(dy, shape)]]);
        const gradients = [...parameters].map(([parameter, gradient]) => {
          const { data } = block.officialLayout(parameter, gradient);
          const values = new Float32Array(new Uint8Array(data).buffer);
          return [parameter.name.slice(prefix.length), values] as const;
        });
        return new Map([['out', value], ['dx', readFloat32(leaves.get(input)!)], ...gradients]);
      });
      assert.deepEqual([...got.keys()].sort(), ['dx', 'out', ...weights].sort());
      for (const [name, values] of got) {
        const bytes = readFileSync(join(folder, `${name}.f64`));
        const wanted = new Float64Array(new Uint8Array(bytes).buffer);
        assert.equal(values.length, wanted.length, name);
        const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        assert.ok(largest > 1e-3, `${name}: ${largest}`);
        for (const [i, value] of values.entries()) {
          const off = Math.abs(value - wanted[i]!);
          assert.ok(off <= 2e-5 * largest, `${name}[${i}]: ${value}, PyTorch's ${wanted[i]}`);
        }
      }
    } finally {
      block.dispose();
      rmSync(folder, { recursive: true });
    }
  });
}
