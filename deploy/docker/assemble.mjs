// What an image holds, from a clean checkout: the one script that the Dockerfile runs, and that the
// tests run without a Docker engine.
//   node deploy/docker/assemble.mjs OUT [--cpu | --cuda]      OUT must not exist
// Same commit, same compiler: same bytes, and the same `tree` hash at the end of what it prints.
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { removeOtherPlatforms } from '../../services/setup/platformFiles.mjs';
import { packageFolder, placeEngine } from './engine.mjs';
import { describe, settle } from './inventory.mjs';
import { runInherited } from './runInherited.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** Types, sources, maps and papers of packages; licences stay. */
const NOT_RUN = /\.([cm]?ts|map|md|markdown|flow|gypi?|cc|h|sh|ya?ml)$/;
/** What a package carries beside its code, right below its folder, and links to its programs. */
const NOT_CODE =
  /node_modules\/(@[^/]+\/)?[^/]+\/(tests?|bench(marks)?|docs?|examples|\.github)$|\/\.bin$/;
/** Of ECharts one built file is loaded, which has all modules of it and of zrender in it. */
const NOT_LOADED = /node_modules\/(echarts|zrender)\/(?!dist\/echarts\.min\.js$).*\.[cm]?js$/;
const LICENCE = /licen[cs]e|notice|copying/i;

async function main() {
  const [out = '', ...flags] = process.argv.slice(2);
  const flavour = flags[0]?.replace(/^--/, '') ?? 'cpu';
  if (out === '' || flags.length > 1 || !['cpu', 'cuda'].includes(flavour)) {
    process.stderr.write('usage: node deploy/docker/assemble.mjs OUT [--cpu | --cuda]\n');
    process.exit(2);
  }
  if (existsSync(out)) throw new Error(`${out} is there already: wanted a new folder's name`);
  await assemble(resolve(out), flavour);
}

/**
 * @param {string} out
 * @param {string} flavour
 */
async function assemble(out, flavour) {
  runInherited(ROOT, process.execPath, 'services/setup/main.mjs', `--${flavour}`);
  mkdirSync(out, { recursive: true });
  compile(out);
  await installPackages(out);
  for (const path of ['proto', 'services/cli/bin.mjs', 'services/setup/engineEnvironment.mjs']) {
    cpSync(join(ROOT, path), join(out, path), { recursive: true });
  }
  cpSync(join(ROOT, 'deploy/docker/probe.mjs'), join(out, 'probe.mjs'));
  placeEngine(ROOT, out);
  settle(out);
  process.stdout.write(describe(out, packageFolder()));
}

/** @param {string} out */
function compile(out) {
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
  const quiet = ['--declaration', 'false', '--sourceMap', 'false'];
  const target = ['-p', 'tsconfig.build.json', '--outDir', join(out, 'dist')];
  runInherited(ROOT, process.execPath, compiler, ...target, ...quiet);
}

/**
 * What package-lock.json says for a run: without the packages of the build.
 * @param {string} out
 */
async function installPackages(out) {
  for (const name of ['package.json', 'package-lock.json', '.npmrc']) {
    cpSync(join(ROOT, name), join(out, name));
  }
  runInherited(out, 'npm', 'ci', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund');
  for (const name of ['package-lock.json', '.npmrc', 'node_modules/@types']) {
    rmSync(join(out, name), { recursive: true, force: true });
  }
  await removeOtherPlatforms(join(out, 'node_modules'));
  prune(join(out, 'node_modules'));
}

/** @param {string} folder node_modules */
function prune(folder) {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  for (const path of paths.map((name) => join(folder, name))) {
    const isPaper = NOT_RUN.test(path) && !LICENCE.test(path.slice(path.lastIndexOf('/')));
    if (isPaper || NOT_CODE.test(path) || NOT_LOADED.test(path)) {
      rmSync(path, { recursive: true, force: true });
    }
  }
}

await main();
