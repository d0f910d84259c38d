// Batches of test files that share a process. Each process of Node's runner starts tsx and loads the
// engine anew, which takes longer than the tests of a small file. Each file becomes a suite, so that
// its hooks stay its own; it can still be run alone.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const BATCH_FILES = 12;

/** Marks a test file that needs a process of its own; the reason follows the colon. */
const OWN_PROCESS = /^\/\/ @own-process: \S/m;

/**
 * @param {string} root the project's folder
 * @param {readonly string[]} files test files, relative to root
 * @param {string} folder receives a module per batch
 * @returns {string[]} the files to run in place of `files`
 */
export function batchFiles(root, files, folder) {
  /** @param {string} file */
  const alone = (file) => OWN_PROCESS.test(readFileSync(join(root, file), 'utf8'));
  const others = files.filter((file) => !alone(file));
  const batches = Math.ceil(others.length / BATCH_FILES);
  const modules = Array.from({ length: batches }, (_, batch) => {
    // Files with similar names take similar time, so neighbours go to different batches.
    const suites = others
      .filter((_, i) => i % batches === batch)
      .map((file) => suiteOf(file, pathToFileURL(join(root, file)).href));
    const module = join(folder, `batch-${batch + 1}.test.mjs`);
    writeFileSync(module, ["import { suite } from 'node:test';", ...suites, ''].join('\n'));
    return module;
  });
  return [...files.filter(alone), ...modules];
}

/**
 * @param {string} file
 * @param {string} address
 */
function suiteOf(file, address) {
  return `suite(${JSON.stringify(file)}, async () => { await import(${JSON.stringify(address)}); });`;
}
