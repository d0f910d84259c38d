/** `cirkd setup`: installs what is missing. bin.mjs runs it before anything else is loaded. */
import { hasSetup } from '../../setup/layout.mjs';
import { SETUP_USAGE, setUp } from '../../setup/setUp.mjs';
import { type Command, UsageError } from '../command.js';
import { packageRoot } from '../../program/packageRoot.js';

export const command: Command = {
  name: 'setup',
  summary: 'Installs what is missing: TensorFlow, and the addon that is compiled against it.',
  usage: SETUP_USAGE,
  async run(argv) {
    const root = packageRoot();
    if (!hasSetup(root))
      throw new UsageError('A container image is complete: there is nothing to set up.');
    return setUp(root, argv);
  },
};
