// The places that this project runs from, and where each has what the set-up brings.
//
//   clone      has package-lock.json; node_modules is the set-up's own, and it puts these in there
//   package    installed by npm: dist/ and services/setup/; node_modules is npm's, and any later
//              `npm install` removes what npm did not put there. So what the set-up brings lies in
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
 * @returns {string} what to type
 */
export function setupCommand(root) {
  return isClone(root) ? 'npm run setup' : 'npx cirkd setup';
}
