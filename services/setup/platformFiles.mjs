// Packages of npm that carry the binaries of every platform in one archive: those of other platforms go.
import { existsSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Below node_modules, folders of <platform>/<architecture>. onnxruntime-node: 240 of 290 MB are others'. */
const FOLDERS = ['onnxruntime-node/bin/napi-v6'];

/** @param {string} modules a node_modules folder */
export async function removeOtherPlatforms(modules) {
  for (const folder of FOLDERS) {
    const home = join(modules, folder);
    if (!existsSync(home)) continue;
    for (const platform of readdirSync(home)) {
      for (const architecture of readdirSync(join(home, platform))) {
        if (platform === process.platform && architecture === process.arch) continue;
        await rm(join(home, platform, architecture), { recursive: true });
      }
      if (platform !== process.platform) await rm(join(home, platform), { recursive: true });
    }
  }
}
