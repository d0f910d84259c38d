// Sets up this folder before anything is installed:  node services/setup/main.mjs [--cuda | --cpu]
// The package's scripts call it; `cirkd setup` does the same.
import { fileURLToPath } from 'node:url';
import { setUp } from './setUp.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
process.exitCode = await setUp(root, process.argv.slice(2));
