/** 64-bit Arm: the addon's sources compile for it, and the kernels compute right under an emulator. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { KERNEL_FLAGS } from '../../services/setup/addon.mjs';
import { runProgram } from '../../services/setup/subprocess.mjs';
import { type ArmTools, armTools } from '../support/tools/armTools.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const KERNELS = join(ROOT, 'src', 'tensor', 'native');
const MODULES = join(ROOT, 'node_modules');
const BINDING = join(MODULES, '@tensorflow', 'tfjs-node-gpu');
const SELF_TEST = join(ROOT, 'test', 'support', 'native', 'kernelSelfTest.cc');
/** What the self test is linked with: products that need no TensorFlow. */
const LINKED = /^(convolution\.cc|winograd\/.*|bfloat16\/(tiles|convolution)\.cc)$/;

interface Source {
  readonly name: string;
  readonly path: string;
}

function sources(): Source[] {
  const kernels = readdirSync(KERNELS, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.cc'))
    .map((name) => ({ name, path: join(KERNELS, name) }));
  const binding = ['tfjs_backend.cc', 'tfjs_binding.cc'].map((name) => ({
    name: `binding/${name}`,
    path: join(BINDING, 'binding', name),
  }));
  return [{ name: 'selfTest', path: SELF_TEST }, ...binding, ...kernels];
}

/** The object's path. */
async function compile(
  { compiler: [program, ...first], env }: ArmTools,
  { name, path }: Source,
  folder: string,
): Promise<string> {
  const object = join(folder, `${name.replaceAll('/', '-')}.o`);
  const includes = [
    ...[join(BINDING, 'deps', 'include'), join(MODULES, 'node-api-headers', 'include')],
    ...[KERNELS, BINDING],
  ].flatMap((include) => ['-I', include]);
  const args = [...KERNEL_FLAGS, '-DNAPI_VERSION=8', ...includes, path, '-o', object];
  const { code, output } = await runProgram(program, [...first, ...args], { env });
  assert.equal(code, 0, `${name}:\n${output}`);
  return object;
}

test('the addon compiles for 64-bit Arm, and its products are right under an emulator', async (t) => {
  const tools = await armTools();
  if (tools === null) {
    t.skip('no apt-get, which brings the compiler and the emulator');
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'cirkd-arm64-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const waiting = sources();
  assert.ok(waiting.length > 20, `${waiting.length} sources`);
  const objects = new Map<string, string>();
  const worker = async () => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      objects.set(next.name, await compile(tools, next, folder));
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));

  const linked = [...objects].filter(([name]) => name === 'selfTest' || LINKED.test(name));
  const program = join(folder, 'selfTest');
  const [compiler, ...first] = tools.compiler;
  const files = linked.map(([, object]) => object);
  const link = await runProgram(
    compiler,
    [...first, '-static', '-pthread', ...files, '-o', program],
    { env: tools.env },
  );
  assert.equal(link.code, 0, link.output);

  for (const winograd of ['on', 'off']) {
    const env = { ...process.env, CIRKD_WINOGRAD: winograd, TF_NUM_INTRAOP_THREADS: '2' };
    const { code, output } = await runProgram(tools.emulator, [program], { env });
    assert.equal(code, 0, output);
    assert.ok(output.trim().split('\n').length >= 20, output);
  }
});
