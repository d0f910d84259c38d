/**
 * CamVid at half the height and width, in the same layout: what a study on a CPU has the time for.
 *
 *     node --import tsx bench/camvid/halveCamvid.ts --from CAMVID --to camvid-half
 */
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encode } from 'fast-png';
import { UsageError } from '../../services/cli/command.js';
import { camvid } from '../../src/data/files/camvid.js';
import { readRgb } from '../../src/data/files/imageFiles.js';
import { readLabels } from '../../src/data/files/labelFiles.js';
import { encodePng } from '../../src/evaluate/raster.js';
import { helped, readOptions, text } from '../support/options.js';
import { runMain } from '../support/program.js';
import { halfImage, halfLabels } from './halfSize.js';

await runMain('halveCamvid', async () => {
  const [options, argv] = [{ from: text, to: text }, process.argv.slice(2)];
  if (helped('node --import tsx bench/camvid/halveCamvid.ts --from FOLDER --to FOLDER', {}, argv)) {
    return;
  }
  const { from, to } = readOptions(options, argv);
  if (from === undefined || to === undefined)
    throw new UsageError('wanted --from FOLDER --to FOLDER');
  for (const split of ['train', 'val']) {
    await mkdir(join(to, split), { recursive: true });
    await mkdir(join(to, `${split}annot`), { recursive: true });
    const { samples } = camvid({ root: from, split });
    for (const name of samples) {
      const image = join(split, `${name}.png`);
      await writeFile(
        join(to, image),
        await encodePng(halfImage(await readRgb(join(from, image)))),
      );
      const annotation = join(`${split}annot`, `${name}.png`);
      const labels = halfLabels(await readLabels(join(from, annotation)));
      const png = encode({ ...labels, data: labels.values, channels: 1, depth: 8 });
      await writeFile(join(to, annotation), png);
    }
    await copyFile(join(from, `${split}.lst`), join(to, `${split}.lst`));
    process.stdout.write(`${split}: ${samples.length} images\n`);
  }
});
