// Test files that share a process. Each process of Node's runner starts tsx and loads the engine
// anew: for a small file that takes longer than its tests. A file becomes a suite, so that its hooks
// stay its own, and it still runs by itself as well.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const BATCH_FILES = 8;

/** A line of a test file that wants a process of its own, with the reason behind the colon. */
const OWN_PROCESS = /^\/\/ @own-process: \S/m;

/**
 * @param {string} root the project's folder
 * @param {readonly string[]} files test files, from there
 * @param {string} folder takes a module for each batch
 * @returns {string[]} what to give to the runner in place of `files`
 */
export function batchFiles(root, files, folder) {
  /** @param {string} file */
  const alone = (file) => OWN_PROCESS.test(readFileSync(join(root, file), 'utf8'));
  const others = files.filter((file) => !alone(file));
  const batches = Math.ceil(others.length / BATCH_FILES);
  const modules = Array.from({ length: batches }, (_, batch) => {
    // Neighbours by name are alike in weight: each goes to another batch.
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
