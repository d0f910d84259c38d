// Removes other platforms' binaries from npm packages that carry those of every platform.
import { existsSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Folders of <platform>/<architecture> in node_modules. onnxruntime-node: 240 of 290 MB are unneeded. */
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
