/**
 * The losses of the methods compared with, beside the same formulas in PyTorch by autograd, in double
 * precision (comparedLossesPeer.py): loss and every gradient, under every tile budget.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { torchPeer } from '../support/peers/torchPeer.js';
import { LOSS_CASES, type LossCase } from './comparedLossesPlan.js';
import { lossResults } from './comparedLossesSide.js';

const PEER = fileURLToPath(new URL('comparedLossesPeer.py', import.meta.url));

const folder = mkdtempSync(join(tmpdir(), 'cirkd-losses-'));
after(() => rmSync(folder, { recursive: true }));

let shapes: Record<string, Record<string, number[]>> = {};
before(async () => {
  const plan = join(folder, 'plan.json');
  writeFileSync(plan, JSON.stringify({ folder, cases: LOSS_CASES }));
  shapes = await torchPeer(PEER, plan);
});

/**
 * Of each result's largest number, or of `floor` where all are smaller. Float32 against float64:
 * rounding of a few hundred summands, and of what cancels.
 */
const ALLOWED = { share: 2e-5, floor: 1e-6 };
/** A network's depth; the gradients of the keys' biases are 0 but for rounding. */
const ALLOWED_OF_NETWORK = { share: 5e-5, floor: 5e-2 };

function wantedOf({ name }: LossCase, key: string): Float32Array {
  const bytes = readFileSync(join(folder, name, `${key.replaceAll('/', '-')}.f32`));
  return new Float32Array(new Uint8Array(bytes).buffer);
}

const largestOf = (values: Float32Array) =>
  values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);

for (const tileRows of [1, 7, null]) {
  for (const of of LOSS_CASES) {
    test(`${of.name} is PyTorch's, tile rows: ${tileRows ?? 'all'}`, () => {
      const got = lossResults(of, { lossMemoryMiB: 64, tileRows: tileRows ?? 1e9 });
      assert.deepEqual([...got.keys()].sort(), Object.keys(shapes[of.name]!).sort());
      for (const [key, values] of got) {
        const wanted = wantedOf(of, key);
        assert.equal(values.length, wanted.length, key);
        const { share, floor } = of.op === 'holistic' ? ALLOWED_OF_NETWORK : ALLOWED;
        const allowed = share * Math.max(largestOf(wanted), floor);
        for (const [i, value] of values.entries()) {
          const off = Math.abs(value - wanted[i]!);
          assert.ok(off <= allowed, `${key}[${i}]: ${value}, PyTorch's ${wanted[i]}`);
        }
      }
    });
  }
}
