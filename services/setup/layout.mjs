// The layouts that this project runs from, and where each keeps the set-up's results.
//
//   clone      has package-lock.json; the set-up owns node_modules and puts its results there
//   package    installed by npm: dist/ and services/setup/; npm owns node_modules, and any later
//              `npm install` removes what npm did not put there. So the set-up's results are in
//              dist/node_modules: Node.js looks there first, npm never does
//   image      dist/ with an addon in node_modules, made by deploy/docker; no set-up
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** @param {string} root */
export function isClone(root) {
  return existsSync(join(root, 'package-lock.json'));
}

/**
 * @param {string} root
 * @returns {boolean} false in an image
 */
export function hasSetup(root) {
  return existsSync(join(root, 'services', 'setup', 'setUp.mjs'));
}

/**
 * @param {string} root
 * @returns {string} the folder that has tfjs-node's package and node-api-headers
 */
export function modulesFolder(root) {
  return isClone(root) ? join(root, 'node_modules') : join(root, 'dist', 'node_modules');
}

/**
 * @param {string} root
 * @returns {string} the command that runs the set-up
 */
export function setupCommand(root) {
  return isClone(root) ? 'npm run setup' : 'npx cirkd setup';
}
