// Compiles src and services from scratch to dist/, which an installed package runs.
//   node services/setup/tools/build.mjs
import { spawnSync } from 'node:child_process';
import { copyFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc');

process.chdir(root);
rmSync('dist', { recursive: true, force: true });
const { status } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], {
  stdio: 'inherit',
});
// The only file of the set-up that the TypeScript compiler doesn't copy.
if (status === 0) copyFileSync('services/setup/extract.py', 'dist/services/setup/extract.py');
process.exitCode = status ?? 1;
