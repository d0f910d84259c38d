/** The tree of an image, made as the Dockerfile makes it, from what its build would be given. */
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runProgram } from '../../../services/setup/subprocess.mjs';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

export interface ImageTree {
  /** Readable for everybody; goes with close(). */
  readonly folder: string;
  /** What the image has as /app. */
  readonly app: string;
  /** What the image has as /usr/local/bin/node. */
  readonly node: string;
  /** What the script printed: a line for each part, and the tree's hash. */
  readonly inventory: string;
  close(): void;
}

/** Takes a minute, most of it npm's and the compiler's. */
export async function assembleImage(): Promise<ImageTree> {
  const folder = mkdtempSync(join(tmpdir(), 'cirkd-image-'));
  chmodSync(folder, 0o755);
  const close = () => rmSync(folder, { recursive: true, force: true });
  try {
    const build = join(folder, 'build');
    copyContext(build);
    const [app, node] = [join(folder, 'app'), join(folder, 'node')];
    const { code, output } = await runProgram(
      process.execPath,
      ['deploy/docker/assemble.mjs', app, '--cpu'],
      { cwd: build },
    );
    assert.equal(code, 0, output);
    // Nothing of the build's folder is needed from here on.
    rmSync(build, { recursive: true });
    copyFileSync(process.execPath, node);
    chmodSync(node, 0o755);
    return { folder, app, node, inventory: output, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** What .dockerignore lets through, of a checkout in which nothing was installed or built. */
function copyContext(to: string): void {
  const lines = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n');
  const rules = lines.filter((line) => line !== '' && !line.startsWith('#'));
  assert.equal(rules[0], '*', 'first nothing, then what is wanted');
  for (const rule of rules.slice(1)) {
    assert.match(rule, /^![\w./-]+$/);
    cpSync(join(ROOT, rule.slice(1)), join(to, rule.slice(1)), { recursive: true });
  }
}
